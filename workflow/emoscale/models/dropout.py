"""Dropout with a random stream of its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """`nn.Dropout`, drawing from `generator`, which a training sets to its own.

    So what is dropped does not depend on what else is trained in the process.
    """

    generator: torch.Generator | None = None
    """None: torch's default one."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, values: Tensor) -> Tensor:
        """Any shape to the same; what is kept is scaled so that the expectation stays."""
        if not self.training or self.share == 0.0:
            return values
        # Faster on a CPU than Bernoulli draws, of which torch makes one a value.
        drawn = torch.rand(values.shape, generator=self.generator, device=values.device)
        return values * (drawn >= self.share).to(values.dtype).div_(1.0 - self.share)


def draw_dropout_from(model: nn.Module, generator: torch.Generator) -> None:
    """Let every dropout of a model draw from `generator`."""
    for module in model.modules():
        if isinstance(module, Dropout):
            module.generator = generator
