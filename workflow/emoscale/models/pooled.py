"""Classifier of pooled frames: projection, pooling, linear layer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn

from emoscale.models.contract import InputShape, PackedFrames, SingleInputClassifier
from emoscale.models.layers import Dropout, Pooling, UtteranceLinear

if TYPE_CHECKING:
    from emoscale.config.models import PooledSettings


class Pooled(SingleInputClassifier):
    """Linear layer and ReLU per frame, pooling, dropout, linear layer.

    It is the downstream network of SUPERB [1]_ (without ReLU) and of EmoBox [2]_.

    Parameters
    ----------
    settings : PooledSettings
        Settings of the model.
    input_shapes : sequence of InputShape
        The shape of the only input.
    num_classes : int
        Number of classes.

    References
    ----------
    .. [1] S. Yang et al., "SUPERB: Speech processing universal performance benchmark",
       Interspeech 2021.
    .. [2] Z. Ma et al., "EmoBox: Multilingual multi-corpus speech emotion recognition toolkit and
       benchmark", Interspeech 2024.
    """

    def __init__(
        self, settings: PooledSettings, input_shapes: Sequence[InputShape], num_classes: int
    ) -> None:
        super().__init__(input_shapes)
        input_size = input_shapes[0].dimension
        projection_size = settings.projection_size or input_size
        self.project: nn.Module = nn.Identity()
        if settings.projection_size is not None:
            self.project = nn.Linear(input_size, projection_size)
            if settings.activation == "relu":
                self.project = nn.Sequential(self.project, nn.ReLU())
        # A linear projection commutes with the mean, and one product per utterance is cheaper.
        self._pools_first = settings.pooling == "mean" and settings.activation == "none"
        self.pool = Pooling(settings.pooling, projection_size)
        self.dropout = Dropout(settings.dropout)
        self.classify = UtteranceLinear(self.pool.output_size, num_classes)

    def forward(self, *inputs: PackedFrames) -> Tensor:
        """Compute logits [utterances, classes]."""
        (batch,) = inputs
        frames = self.standardised_frames(batch)
        if self._pools_first:
            vectors = self.project(self.pool(frames, batch.layout))
        else:
            vectors = self.pool(self.project(frames), batch.layout)
        logits: Tensor = self.classify(self.dropout(vectors))
        return logits
