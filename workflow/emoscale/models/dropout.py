"""Dropout with a random stream of its own."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

_VALUES = 2**16  # a share is rounded to so many


class DropoutStream:
    """Which values are dropped, one draw after the other, from a seed.

    On a CPU the bits are those of the SFC64 generator, four values a number: torch's Bernoulli
    draws take a quarter of the time of a convolutional model's step. On a GPU they are torch's.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._device = device
        self._numbers = np.random.SFC64(seed)
        self._generator = torch.Generator(device).manual_seed(seed)

    def kept(self, like: Tensor, share: float) -> Tensor:
        """Of the shape and type of `like`: 0 for the `share` that is dropped.

        What is kept has the value under which the expectation is 1.
        """
        dropped = round(share * _VALUES)
        scale = 1.0 / (1.0 - dropped / _VALUES)
        if self._device.type == "cpu":
            raw = self._numbers.random_raw(-(-like.numel() // 4))
            bits = torch.from_numpy(raw.view(np.uint16).view(np.int16))[: like.numel()]
            keep = bits.view(like.shape) >= dropped - _VALUES // 2
            return keep.to(like.dtype).mul_(scale)
        return torch.empty_like(like).bernoulli_(1.0 / scale, generator=self._generator) * scale


class Dropout(nn.Module):
    """Drops values in training, from `stream`, which a training sets to its own.

    So what is dropped does not depend on what else is trained in the process.
    """

    stream: DropoutStream | None = None
    """None: nothing trains it, and one is made from torch's seed."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, values: Tensor) -> Tensor:
        """Any shape to the same."""
        if not self.training or self.share == 0.0:
            return values
        if self.stream is None:
            self.stream = DropoutStream(torch.initial_seed(), values.device)
        return values * self.stream.kept(values.detach(), self.share)


def share_stream(model: nn.Module, stream: DropoutStream) -> None:
    """Let every dropout of a model draw from `stream`."""
    for module in model.modules():
        if isinstance(module, Dropout):
            module.stream = stream
