"""Packed frames to padded ones and back, for networks that step through time."""

from __future__ import annotations

import torch
from torch import Tensor

from emoscale.models.segments import Segments


class Padding:
    """Where each packed frame of a batch stands in `[longest, utterances]`, time first.

    Reversed, an utterance's last frame comes first; its padding comes last either way, so that a
    network that steps forwards has seen none of it when it reaches a frame.

    >>> padding = Padding([2, 1], torch.device("cpu"))
    >>> frames = torch.tensor([[1.0], [2.0], [3.0]])
    >>> padding.pad(frames).squeeze(2).tolist()
    [[1.0, 3.0], [2.0, 0.0]]
    >>> padding.pad(frames, reverse=True).squeeze(2).tolist()
    [[2.0, 3.0], [1.0, 0.0]]
    """

    def __init__(self, lengths: list[int], device: torch.device) -> None:
        self.longest, self.utterances = max(lengths), len(lengths)
        segments = Segments(lengths, device)
        ends = segments.counts.cumsum(dim=0)[segments.utterance]
        since_last = ends - 1 - torch.arange(sum(lengths), device=device)
        since_first = segments.counts[segments.utterance] - 1 - since_last
        self._onward = since_first * self.utterances + segments.utterance
        self._reversed = since_last * self.utterances + segments.utterance

    def pad(self, frames: Tensor, reverse: bool = False) -> Tensor:
        """[total, dimension] to [longest, utterances, dimension], zeros after each end."""
        padded = frames.new_zeros(self.longest * self.utterances, frames.shape[1])
        padded = padded.index_copy(0, self._places(reverse), frames)
        return padded.view(self.longest, self.utterances, -1)

    def unpad(self, padded: Tensor, reverse: bool = False) -> Tensor:
        """[longest, utterances, dimension] to [total, dimension], as `pad` had it."""
        return padded.flatten(0, 1).index_select(0, self._places(reverse))

    def _places(self, reverse: bool) -> Tensor:
        return self._reversed if reverse else self._onward
