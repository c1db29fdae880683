"""Dropout with a random stream of its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_VALUES = 2**16  # a share is rounded to so many


class Dropout(nn.Module):
    """`nn.Dropout`, drawing from `generator`, which a training sets to its own.

    So what is dropped does not depend on what else is trained in the process. Bits are drawn for
    four values at a time: one Bernoulli draw a value, as `nn.Dropout` has it, takes three times as
    long.
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
        dropped = min(round(self.share * _VALUES), _VALUES - 1)
        numbers = torch.empty(-(-values.numel() // 4), dtype=torch.int64, device=values.device)
        bits = numbers.random_(-(2**63), None, generator=self.generator).view(torch.int16)
        kept = bits[: values.numel()].view(values.shape) >= dropped - _VALUES // 2
        return values * kept.to(values.dtype).mul_(_VALUES / (_VALUES - dropped))


def draw_dropout_from(model: nn.Module, generator: torch.Generator) -> None:
    """Let every dropout of a model draw from `generator`."""
    for module in model.modules():
        if isinstance(module, Dropout):
            module.generator = generator
