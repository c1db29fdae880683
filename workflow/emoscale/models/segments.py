"""Sums over each utterance of a packed batch."""

from __future__ import annotations

import torch
from torch import Tensor


class Segments:
    """Which utterance each packed frame belongs to.

    An utterance's sums do not depend on the others.

    >>> segments = Segments([2, 1], torch.device("cpu"))
    >>> segments.sum(torch.tensor([[1.0], [2.0], [3.0]])).tolist()
    [[3.0], [3.0]]
    >>> segments.softmax(torch.tensor([5.0, 5.0, -1.0])).tolist()
    [0.5, 0.5, 1.0]
    """

    def __init__(self, lengths: list[int], device: torch.device) -> None:
        self.counts = torch.tensor(lengths, device=device)
        """[utterances] frames of each."""
        self.utterance = torch.repeat_interleave(
            torch.arange(len(lengths), device=device), self.counts, output_size=sum(lengths)
        )
        """[total] place of each frame's utterance."""

    def sum(self, frames: Tensor) -> Tensor:
        """[total, dimension] to [utterances, dimension], in float32 or more exactly."""
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
