"""A convolution over packed frames, as if each utterance stood between zeros."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emoscale.models.segments import Segments


class PackedConvolution(nn.Module):
    """Of an odd kernel and stride 1: as many frames come out as went in.

    The utterances stand in one long signal with half a kernel of zeros between them, and each tap
    of the kernel is one product with all of it; a kernel of 1 is a plain product.
    """

    def __init__(self, dimension: int, channels: int, kernel: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(dimension, channels, kernel)

    def forward(self, frames: Tensor, lengths: list[int]) -> Tensor:
        """[total, dimension] to [total, channels]."""
        taps = self.convolution.weight.permute(2, 1, 0)
        bias = self.convolution.bias
        assert bias is not None
        half = len(taps) // 2
        if not half:
            return torch.addmm(bias, frames, taps[0])
        utterance = Segments(lengths, frames.device).utterance
        places = torch.arange(len(frames), device=frames.device) + half * utterance
        signal = frames.new_zeros(len(frames) + half * (len(lengths) + 1), frames.shape[1])
        signal = signal.index_copy(0, places + half, frames)
        count = len(signal) - 2 * half
        summed = torch.addmm(bias, signal[:count], taps[0])
        for place, tap in enumerate(taps[1:], start=1):
            summed = torch.addmm(summed, signal[place : place + count], tap)
        return summed.index_select(0, places)
