"""A convolution over packed frames, as if each utterance stood between zeros."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from emoscale.models.segments import Segments


class PackedConvolution(nn.Module):
    """Of an odd kernel and stride 1: as many frames come out as went in.

    The utterances stand in one long signal with half a kernel of zeros between them; a kernel of 1
    is a linear layer, which takes half the time.
    """

    def __init__(self, dimension: int, channels: int, kernel: int) -> None:
        super().__init__()
        self._half = kernel // 2
        self.convolution = nn.Conv1d(dimension, channels, kernel, padding=self._half)

    def forward(self, frames: Tensor, lengths: list[int]) -> Tensor:
        """[total, dimension] to [total, channels]."""
        if not self._half:
            return linear(frames, self.convolution.weight[:, :, 0], self.convolution.bias)
        utterance = Segments(lengths, frames.device).utterance
        places = torch.arange(len(frames), device=frames.device) + self._half * utterance
        signal = frames.new_zeros(len(frames) + self._half * (len(lengths) - 1), frames.shape[1])
        signal = signal.index_copy(0, places, frames)
        convolved: Tensor = self.convolution(signal.T[None])
        return convolved[0].T.index_select(0, places)
