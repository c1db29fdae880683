"""Standardisation of frames with the statistics of one training subset."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Standardise(nn.Module):
    """Subtract the mean and divide by the standard deviation of each dimension (of each layer).

    The statistics are buffers: they are saved with the model, which so knows its preprocessing.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, dimension: int, layers: int | None = None) -> None:
        super().__init__()
        shape = (dimension,) if layers is None else (layers, dimension)
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("scale", torch.ones(shape))

    def set_statistics(self, mean: Tensor, deviation: Tensor) -> None:
        """Take statistics [dimension] or [layers, dimension].

        A dimension that does not vary is only centred.
        """
        self.mean.copy_(mean)
        self.scale.copy_(torch.where(deviation > 1e-6, 1.0 / deviation.clamp(min=1e-6), 1.0))

    def forward(self, frames: Tensor) -> Tensor:
        """[frames, dimension], or [frames, layers, dimension], to the same shape, in float32."""
        return (frames - self.mean) * self.scale
