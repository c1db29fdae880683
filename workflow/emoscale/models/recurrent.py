"""Bidirectional recurrent network over frames, pooling, linear classifier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from emoscale.models.contract import InputShape, PackedFrames, SingleInputClassifier
from emoscale.models.layers import Dropout, Pooling, UtteranceLinear
from emoscale.models.recurrent_encoder import RecurrentEncoder

if TYPE_CHECKING:
    from emoscale.config.models import RecurrentSettings


class Recurrent(SingleInputClassifier):
    """Recurrent encoder, pooling, dropout, linear layer.

    Parameters
    ----------
    settings : RecurrentSettings
        Settings of the model.
    input_shapes : sequence of InputShape
        The shape of the only input.
    num_classes : int
        Number of classes.
    """

    def __init__(
        self, settings: RecurrentSettings, input_shapes: Sequence[InputShape], num_classes: int
    ) -> None:
        super().__init__(input_shapes)
        self.encoder = RecurrentEncoder(
            input_shapes[0].dimension,
            settings.rnn_type,
            settings.hidden_size,
            settings.num_layers,
            settings.dropout,
        )
        self.pool = Pooling(settings.pooling, self.encoder.output_size)
        self.dropout = Dropout(settings.dropout)
        self.classify = UtteranceLinear(self.pool.output_size, num_classes)

    def forward(self, *inputs: PackedFrames) -> Tensor:
        """Compute logits [utterances, classes]."""
        (batch,) = inputs
        encoded = self.encoder(self.standardised_frames(batch), batch.layout)
        logits: Tensor = self.classify(self.dropout(self.pool(encoded, batch.layout)))
        return logits
