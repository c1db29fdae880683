"""Early fusion: two inputs are pooled separately, and one network reads both vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from emoscale.models.contract import Classifier, InputShape, PackedFrames
from emoscale.models.layers import Dropout, LayerWeights, Pooling, Standardise, UtteranceLinear

if TYPE_CHECKING:
    from emoscale.config.models import EarlyFusionSettings


class EarlyFusion(Classifier):
    """Per input a linear layer, ReLU and pooling; concatenation, hidden layer, linear layer.

    Parameters
    ----------
    settings : EarlyFusionSettings
        Settings of the model.
    input_shapes : sequence of InputShape
        Shape of each input.
    num_classes : int
        Number of classes.
    """

    def __init__(
        self, settings: EarlyFusionSettings, input_shapes: Sequence[InputShape], num_classes: int
    ) -> None:
        super().__init__()
        self.standardise = nn.ModuleList(
            Standardise(shape.dimension, shape.layers) for shape in input_shapes
        )
        self.layers = nn.ModuleList(LayerWeights(shape.layers) for shape in input_shapes)
        self.project = nn.ModuleList(
            nn.Linear(shape.dimension, settings.projection_size) for shape in input_shapes
        )
        pools = [Pooling(settings.pooling, settings.projection_size) for _ in input_shapes]
        self.pool = nn.ModuleList(pools)
        self.dropout = Dropout(settings.dropout)
        pooled_size = sum(pool.output_size for pool in pools)
        self.hidden = (
            None
            if settings.hidden_size is None
            else UtteranceLinear(pooled_size, settings.hidden_size)
        )
        self.classify = UtteranceLinear(settings.hidden_size or pooled_size, num_classes)

    def forward(self, *inputs: PackedFrames) -> Tensor:
        """Compute logits [utterances, classes]."""
        pooled = []
        for batch, standardise, layers, project, pool in zip(
            inputs, self.standardise, self.layers, self.project, self.pool, strict=True
        ):
            projected = torch.relu(project(layers(batch.frames, standardise)))
            pooled.append(pool(projected, batch.layout))
        vectors = self.dropout(torch.cat(pooled, dim=1))
        if self.hidden is not None:
            vectors = self.dropout(torch.relu(self.hidden(vectors)))
        logits: Tensor = self.classify(vectors)
        return logits
