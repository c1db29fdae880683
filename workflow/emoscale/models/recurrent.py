"""A bidirectional recurrent network over frames, pool, classify."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from emoscale.config.models import RecurrentSettings
from emoscale.models.contract import InputShape, OneInput, PackedFrames
from emoscale.models.layers import Dropout, Pooling, UtteranceLinear
from emoscale.models.recurrent_encoder import RecurrentEncoder


class Recurrent(OneInput):
    """A recurrent encoder, pooling, dropout, linear."""

    def __init__(
        self, settings: RecurrentSettings, inputs: Sequence[InputShape], classes: int
    ) -> None:
        super().__init__(inputs)
        self.encoder = RecurrentEncoder(
            inputs[0].dimension,
            settings.rnn_type,
            settings.hidden_size,
            settings.num_layers,
            settings.dropout,
        )
        self.pool = Pooling(settings.pooling, self.encoder.dimension)
        self.dropout = Dropout(settings.dropout)
        self.classify = UtteranceLinear(self.pool.dimension, classes)

    def forward(self, *inputs: PackedFrames) -> Tensor:
        """Logits [utterances, classes]."""
        (batch,) = inputs
        encoded = self.encoder(self.entering(batch), batch.lengths)
        logits: Tensor = self.classify(self.dropout(self.pool(encoded, batch.lengths)))
        return logits
