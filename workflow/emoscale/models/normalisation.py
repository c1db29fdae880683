"""Standardisation of frames with the statistics of one training subset."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_CACHED_VALUES = 2**17
"""Half a megabyte in float32."""


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
        """[frames, dimension], or [frames, layers, dimension], to the same shape.

        Float32, or what autocast computes products in. On a CPU a piece at a time, so that what
        lies between the stored frames and these stays in the cache. Frames in bfloat16 have been
        here before: no representation stores them.
        """
        if frames.dtype == torch.bfloat16:
            return frames
        kind = frames.device.type
        if kind != "cpu" or frames.requires_grad or frames.dtype == torch.float64:
            return (frames - self.mean) * self.scale
        wanted = (
            torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else self.mean.dtype
        )
        standardised = torch.empty(frames.shape, dtype=wanted)
        rows = max(1, _CACHED_VALUES // max(1, self.mean.numel()))
        for piece, given in zip(
            torch.split(standardised, rows), torch.split(frames, rows), strict=True
        ):
            piece.copy_((given.to(self.mean.dtype) - self.mean).mul_(self.scale))
        return standardised
