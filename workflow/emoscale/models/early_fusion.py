"""Two inputs pooled by themselves; one network over both vectors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from emoscale.config.models import EarlyFusionSettings
from emoscale.models.contract import Classifier, InputShape, PackedFrames
from emoscale.models.layers import Dropout, LayerWeights, Pooling, Standardise, UtteranceLinear


class EarlyFusion(Classifier):
    """Standardise, linear and ReLU, pool: a vector an input; side by side, hidden layer, linear."""

    def __init__(
        self, settings: EarlyFusionSettings, inputs: Sequence[InputShape], classes: int
    ) -> None:
        super().__init__()
        self.standardise = nn.ModuleList(
            Standardise(shape.dimension, shape.layers) for shape in inputs
        )
        self.layers = nn.ModuleList(
            nn.Identity() if shape.layers is None else LayerWeights(shape.layers)
            for shape in inputs
        )
        self.project = nn.ModuleList(
            nn.Linear(shape.dimension, settings.projection_size) for shape in inputs
        )
        pools = [Pooling(settings.pooling, settings.projection_size) for _ in inputs]
        self.pool = nn.ModuleList(pools)
        self.dropout = Dropout(settings.dropout)
        entering = sum(pool.dimension for pool in pools)
        self.hidden = (
            None
            if settings.hidden_size is None
            else UtteranceLinear(entering, settings.hidden_size)
        )
        self.classify = UtteranceLinear(settings.hidden_size or entering, classes)

    def forward(self, *inputs: PackedFrames) -> Tensor:
        """Logits [utterances, classes]."""
        vectors = []
        for given, standardise, layers, project, pool in zip(
            inputs, self.standardise, self.layers, self.project, self.pool, strict=True
        ):
            projected = torch.relu(project(layers(standardise(given.frames))))
            vectors.append(pool(projected, given.lengths))
        vector = self.dropout(torch.cat(vectors, dim=1))
        if self.hidden is not None:
            vector = self.dropout(torch.relu(self.hidden(vector)))
        logits: Tensor = self.classify(vector)
        return logits
