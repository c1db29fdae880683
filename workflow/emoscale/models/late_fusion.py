"""Two models that learn by themselves; their probabilities are averaged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from emoscale.config.models import LateFusionSettings
from emoscale.models.contract import Classifier, InputShape, PackedFrames
from emoscale.models.registry import build_model


class LateFusion(Classifier):
    """A model an input, each with a loss of its own; the mean of their probabilities."""

    def __init__(
        self, settings: LateFusionSettings, inputs: Sequence[InputShape], classes: int
    ) -> None:
        super().__init__()
        parts = [
            build_model(part, [shape], classes)
            for part, shape in zip(settings.branches, inputs, strict=True)
        ]
        # Held once, here, so that no statistics are saved under two names.
        self.standardise = nn.ModuleList(part.standardise[0] for part in parts)
        for part in parts:
            part.standardise = nn.ModuleList([nn.Identity()])
        self.parts = nn.ModuleList(parts)

    def forward(self, *inputs: PackedFrames) -> Tensor:
        """Logits [utterances, classes]: the logarithm of the mean of the parts' probabilities."""
        parts = [logits.log_softmax(dim=1) for logits in self.training_logits(*inputs)]
        return torch.stack(parts).logsumexp(dim=0) - math.log(len(parts))

    def training_logits(self, *inputs: PackedFrames) -> list[Tensor]:
        """Logits [utterances, classes] of each part."""
        return [
            part(replace(given, frames=standardise(given.frames)))
            for part, standardise, given in zip(self.parts, self.standardise, inputs, strict=True)
        ]
