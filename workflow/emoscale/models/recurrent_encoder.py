"""A bidirectional recurrent network over packed frames."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils.rnn import PackedSequence

from emoscale.models.gru_scan import gru_states
from emoscale.models.layers import Dropout

_CELLS = {"gru": nn.GRU, "lstm": nn.LSTM}


class RecurrentEncoder(nn.Module):
    """Layers of units that read each utterance from both ends.

    Weights are those of torch's networks, one a direction. The steps are torch's too: packed on
    a GPU (cuDNN), an utterance at a time for an LSTM on a CPU. Only a GRU's on a CPU are our own,
    two to three times as fast as torch's (`emoscale.models.gru_scan`). States are in float32.
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
        self.dropout = Dropout(dropout)

    def forward(self, frames: Tensor, lengths: list[int]) -> Tensor:
        """[total, dimension] to [total, 2 * width]: the forward direction's values come first."""
        order = _TimeFirst(lengths, frames.device)
        for layer, networks in enumerate(zip(self.forwards, self.backwards, strict=True)):
            if layer:
                frames = self.dropout(frames)
            if frames.device.type != "cpu":
                frames = _packed(networks, frames, order)
            elif isinstance(networks[0], nn.LSTM):
                frames = _one_by_one(networks, frames, lengths)
            else:
                frames = _scanned(networks, frames, order)
        return frames


class _TimeFirst:
    """Packed frames sorted by step, as torch's `PackedSequence` has them, for both directions.

    The utterances of a step stand by falling length.
    """

    def __init__(self, lengths: list[int], device: torch.device) -> None:
        counts = torch.tensor(lengths)  # on the CPU: a GPU would be waited for several times
        utterance = torch.repeat_interleave(torch.arange(len(lengths)), counts)
        rank = torch.empty_like(counts)  # of each utterance by falling length
        rank[torch.argsort(counts, descending=True, stable=True)] = torch.arange(len(lengths))
        self.sizes = len(lengths) - torch.bincount(counts).cumsum(dim=0)[:-1]
        """[steps] utterances that last to each step."""
        starts = self.sizes.cumsum(dim=0) - self.sizes
        since_last = counts.cumsum(dim=0)[utterance] - 1 - torch.arange(len(utterance))
        since_first = counts[utterance] - 1 - since_last
        places = [starts[step] + rank[utterance] for step in (since_first, since_last)]
        self.places = [place.to(device) for place in places]
        """[total] where each frame lies, of each direction."""


def _packed(networks: tuple[nn.Module, nn.Module], frames: Tensor, order: _TimeFirst) -> Tensor:
    """One layer: [total, dimension] to [total, 2 * width]."""
    read = []
    with torch.autocast(frames.device.type, enabled=False):
        for network, place in zip(networks, order.places, strict=True):
            sorted_frames = torch.empty_like(frames).index_copy(0, place, frames).float()
            states, _ = network(PackedSequence(sorted_frames, order.sizes))
            read.append(states.data.index_select(0, place))
    return torch.cat(read, dim=1)


def _one_by_one(
    networks: tuple[nn.Module, nn.Module], frames: Tensor, lengths: list[int]
) -> Tensor:
    """One layer: [total, dimension] to [total, 2 * width]."""
    forwards, backwards = networks
    with torch.autocast("cpu", enabled=False):
        return torch.cat(
            [
                torch.cat([forwards(own)[0], backwards(own.flip(0))[0].flip(0)], dim=1)
                for own in torch.split(frames.float(), lengths)
            ]
        )


def _scanned(networks: tuple[nn.Module, nn.Module], frames: Tensor, order: _TimeFirst) -> Tensor:
    """One layer of gated recurrent units: [total, dimension] to [total, 2 * width]."""
    entering = []
    for network, place in zip(networks, order.places, strict=True):
        weight, bias = map(network.get_parameter, ("weight_ih_l0", "bias_ih_l0"))
        projected = linear(frames, weight, bias).float()
        entering.append(torch.empty_like(projected).index_copy(0, place, projected))
    weights = torch.stack([network.get_parameter("weight_hh_l0") for network in networks])
    biases = torch.stack([network.get_parameter("bias_hh_l0") for network in networks])
    with torch.autocast("cpu", enabled=False):  # the scan is in one precision
        states = gru_states(torch.stack(entering), weights, biases, order.sizes.tolist())
    read = [own.index_select(0, place) for own, place in zip(states, order.places, strict=True)]
    return torch.cat(read, dim=1)
