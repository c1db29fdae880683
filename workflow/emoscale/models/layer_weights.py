"""Learned weights over the hidden states of a pre-trained network."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

_SCORES = re.compile(r"^(?:parts\.(?P<part>\d+)\.)?layers\.(?P<input>\d+)\.scores$")


class LayerWeights(nn.Module):
    """The weighted mean of a frame's layers; equal weights at first.

    As in SUPERB (Yang et al. 2021) and Pepino et al. (2021); the weights are a softmax, so that
    they can be read as shares.
    """

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(layers))

    def forward(self, frames: Tensor) -> Tensor:
        """[total, layers, dimension] to [total, dimension]."""
        return torch.softmax(self.scores, dim=0) @ frames


def layer_shares(weights: Mapping[str, Tensor]) -> dict[int, list[float]]:
    """The share of each layer in a trained model, by the number of the input; they sum to 1.

    Inputs without layers have none; `weights` are the model's state.

    >>> layer_shares({"layers.0.scores": torch.zeros(4)})
    {0: [0.25, 0.25, 0.25, 0.25]}
    """
    shares = {}
    for name, scores in sorted(weights.items()):
        match = _SCORES.match(name)
        if match is not None:
            own = torch.softmax(scores.detach().double(), dim=0)
            shares[int(match["part"] or match["input"])] = own.tolist()
    return shares
