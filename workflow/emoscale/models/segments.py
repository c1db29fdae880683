"""Sums over each utterance of a packed batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class Segments:
    """Which utterance each packed frame belongs to.

    An utterance's sums do not depend on the others. On a GPU there is no loop over utterances,
    which it would spend launching kernels; on a CPU there is, as an utterance fits in the cache.

    >>> segments = Segments([2, 1], torch.device("cpu"))
    >>> segments.sum(torch.tensor([[1.0], [2.0], [3.0]])).tolist()
    [[3.0], [3.0]]
    >>> segments.softmax(torch.tensor([5.0, 5.0, -1.0])).tolist()
    [0.5, 0.5, 1.0]
    """

    def __init__(self, lengths: list[int], device: torch.device) -> None:
        self._lengths = lengths
        self.counts = torch.tensor(lengths, device=device)
        """[utterances] frames of each."""
        self.utterance = torch.repeat_interleave(
            torch.arange(len(lengths), device=device), self.counts, output_size=sum(lengths)
        )
        """[total] place of each frame's utterance."""

    def sum(self, frames: Tensor) -> Tensor:
        """[total, dimension] to [utterances, dimension], in float32 or more exactly."""
        if frames.device.type == "cpu":
            sums: Tensor = _SumsOnCpu.apply(frames, self._lengths)  # type: ignore[no-untyped-call]
            return sums
        frames = frames if frames.dtype == torch.float64 else frames.float()
        zeros = frames.new_zeros(len(self.counts), frames.shape[1])
        return zeros.index_add(0, self.utterance, frames)

    def mean(self, frames: Tensor) -> Tensor:
        """[total, dimension] to [utterances, dimension]."""
        return self.sum(frames) / self.counts[:, None]

    def spread(self, values: Tensor) -> Tensor:
        """[utterances, dimension] to [total, dimension], each frame having its utterance's."""
        return values.index_select(0, self.utterance)

    def softmax(self, logits: Tensor) -> Tensor:
        """[total] to [total]; those of an utterance sum to 1."""
        logits = logits if logits.dtype == torch.float64 else logits.float()
        lowest = logits.new_full((len(self.counts),), -torch.inf)
        highest = lowest.scatter_reduce(0, self.utterance, logits.detach(), "amax")
        exponentials = torch.exp(logits - highest[self.utterance])
        sums = self.sum(exponentials[:, None])
        return exponentials / self.spread(sums)[:, 0]


class _SumsOnCpu(torch.autograd.Function):
    """Sums of consecutive rows; nothing as large as all frames is made in float32."""

    @staticmethod
    def forward(context: Any, frames: Tensor, lengths: list[int]) -> Tensor:
        """[total, dimension] to [utterances, dimension], in float32 or float64."""
        context.lengths, context.dtype = lengths, frames.dtype
        exact = torch.float64 if frames.dtype == torch.float64 else torch.float32
        sums = frames.new_empty((len(lengths), *frames.shape[1:]), dtype=exact)
        for row, own in zip(sums, torch.split(frames, lengths), strict=True):
            row.copy_(own.to(exact).sum(dim=0))
        return sums

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """[utterances, dimension] to [total, dimension], in the type of the frames."""
        (gradient,) = gradients
        shape = (sum(context.lengths), *gradient.shape[1:])
        spread = gradient.new_empty(shape, dtype=context.dtype)
        for own, row in zip(torch.split(spread, context.lengths), gradient, strict=True):
            own.copy_(row.to(context.dtype))
        return spread, None
