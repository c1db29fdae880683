"""A bidirectional recurrent network over packed frames."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from emoscale.models.padding import Padding

_CELLS = {"gru": nn.GRU, "lstm": nn.LSTM}


class RecurrentEncoder(nn.Module):
    """Layers of units that read each utterance from both ends.

    Each direction is a network of its own over padded batches, the second one over reversed
    utterances. On a CPU that takes a fraction of the time of torch's packed sequences, whose
    backward pass is ten times slower (docs/benchmarks.md).
    """

    def __init__(
        self, dimension: int, cell: Literal["gru", "lstm"], width: int, depth: int, dropout: float
    ) -> None:
        super().__init__()
        self.dimension = 2 * width
        """Values a frame of what comes out."""
        entering = [dimension] + [self.dimension] * (depth - 1)
        self.forwards = nn.ModuleList(_CELLS[cell](size, width) for size in entering)
        self.backwards = nn.ModuleList(_CELLS[cell](size, width) for size in entering)
        self.dropout = nn.Dropout(dropout)

    def forward(self, frames: Tensor, lengths: list[int]) -> Tensor:
        """[total, dimension] to [total, 2 * width]: the forward direction's values come first."""
        padding = Padding(lengths, frames.device)
        for place, networks in enumerate(zip(self.forwards, self.backwards, strict=True)):
            if place:
                frames = self.dropout(frames)
            directions = []
            for network, reverse in zip(networks, (False, True), strict=True):
                encoded, _ = network(padding.pad(frames, reverse))
                directions.append(padding.unpad(encoded, reverse))
            frames = torch.cat(directions, dim=1)
        return frames
