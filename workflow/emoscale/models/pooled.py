"""Project, pool over time, classify: the head of SUPERB's emotion task (Yang et al. 2021)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emoscale.config.models import PooledSettings
from emoscale.models.contract import Classifier, PackedFrames
from emoscale.models.normalisation import Standardise


class Pooled(Classifier):
    """Standardise, linear and ReLU a frame, mean over an utterance's frames, dropout, linear."""

    def __init__(self, settings: PooledSettings, dimension: int, classes: int) -> None:
        super().__init__()
        self.standardise = Standardise(dimension)
        self.project = nn.Linear(dimension, settings.width)
        self.dropout = nn.Dropout(settings.dropout)
        self.classify = nn.Linear(settings.width, classes)

    def forward(self, batch: PackedFrames) -> Tensor:
        """Logits [utterances, classes]."""
        projected = torch.relu(self.project(self.standardise(batch.frames)))
        means = [utterance.mean(dim=0) for utterance in torch.split(projected, batch.lengths)]
        logits: Tensor = self.classify(self.dropout(torch.stack(means)))
        return logits
