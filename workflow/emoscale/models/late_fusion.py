"""Late fusion: one model per input, trained separately; their probabilities are averaged."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from emoscale.models.contract import Classifier, InputShape, PackedFrames
from emoscale.models.registry import build_model

if TYPE_CHECKING:
    from emoscale.config.models import LateFusionSettings


class LateFusion(Classifier):
    """One branch per input, each with its own loss; the mean of the branches' probabilities.

    Parameters
    ----------
    settings : LateFusionSettings
        Settings of the branches.
    input_shapes : sequence of InputShape
        Shape of each input.
    num_classes : int
        Number of classes.
    """

    def __init__(
        self, settings: LateFusionSettings, input_shapes: Sequence[InputShape], num_classes: int
    ) -> None:
        super().__init__()
        branches = [
            build_model(branch_settings, [shape], num_classes)
            for branch_settings, shape in zip(settings.branches, input_shapes, strict=True)
        ]
        # Only the fusion holds them, so that no statistics are saved under two names.
        self.standardise = nn.ModuleList(branch.standardise[0] for branch in branches)
        for branch in branches:
            branch.standardise = nn.ModuleList([nn.Identity()])
        self.parts = nn.ModuleList(branches)

    def forward(self, *inputs: PackedFrames) -> Tensor:
        """Compute the log of the mean of the branches' probabilities, [utterances, classes]."""
        log_probabilities = [logits.log_softmax(dim=1) for logits in self.training_logits(*inputs)]
        return torch.stack(log_probabilities).logsumexp(dim=0) - math.log(len(log_probabilities))

    def training_logits(self, *inputs: PackedFrames) -> list[Tensor]:
        """Return the logits [utterances, classes] of each branch."""
        return [
            branch(replace(batch, frames=standardise(batch.frames)))
            for branch, standardise, batch in zip(self.parts, self.standardise, inputs, strict=True)
        ]
