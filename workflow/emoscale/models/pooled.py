"""Project, pool over frames, classify."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from emoscale.config.models import PooledSettings
from emoscale.models.contract import InputShape, OneInput, PackedFrames
from emoscale.models.layers import Dropout, Pooling, UtteranceLinear


class Pooled(OneInput):
    """Linear and ReLU a frame, pooling, dropout, linear: the heads of SUPERB and of EmoBox."""

    def __init__(
        self, settings: PooledSettings, inputs: Sequence[InputShape], classes: int
    ) -> None:
        super().__init__(inputs)
        entering = inputs[0].dimension
        width = settings.projection_size or entering
        self.project: nn.Module = nn.Identity()
        if settings.projection_size is not None:
            self.project = nn.Linear(entering, width)
            if settings.activation == "relu":
                self.project = nn.Sequential(self.project, nn.ReLU())
        # A plain projection commutes with a mean: a product an utterance instead of one a frame.
        self._pools_first = settings.pooling == "mean" and settings.activation == "none"
        self.pool = Pooling(settings.pooling, width)
        self.dropout = Dropout(settings.dropout)
        self.classify = UtteranceLinear(self.pool.dimension, classes)

    def forward(self, *inputs: PackedFrames) -> Tensor:
        """Logits [utterances, classes]."""
        (batch,) = inputs
        frames = self.entering(batch)
        if self._pools_first:
            vectors = self.project(self.pool(frames, batch.lengths))
        else:
            vectors = self.pool(self.project(frames), batch.lengths)
        logits: Tensor = self.classify(self.dropout(vectors))
        return logits
