"""Learned weights over the hidden states of a pre-trained network."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class LayerWeights(nn.Module):
    """The weighted mean of a frame's layers; equal weights at first.

    As in SUPERB (Yang et al. 2021) and Pepino et al. (2021); the weights are a softmax, so that
    they can be read as shares.

    >>> LayerWeights(4).weights()
    [0.25, 0.25, 0.25, 0.25]
    """

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(layers))

    def weights(self) -> list[float]:
        """The share of each layer; they sum to 1."""
        shares: list[float] = torch.softmax(self.scores.detach().double(), dim=0).tolist()
        return shares

    def forward(self, frames: Tensor) -> Tensor:
        """[total, layers, dimension] to [total, dimension]."""
        return torch.softmax(self.scores, dim=0) @ frames
