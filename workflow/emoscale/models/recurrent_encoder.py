"""A bidirectional recurrent network over packed frames."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from emoscale.models.dropout import Dropout
from emoscale.models.recurrent_scan import gru_states, lstm_states
from emoscale.models.segments import Segments

_CELLS = {"gru": nn.GRU, "lstm": nn.LSTM}


class RecurrentEncoder(nn.Module):
    """Layers of units that read each utterance from both ends.

    The weights are those of torch's networks, one a direction; the steps are our own
    (`emoscale.models.recurrent_scan`).
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
        sizes, places = _time_first(lengths, frames.device)
        for layer, networks in enumerate(zip(self.forwards, self.backwards, strict=True)):
            if layer:
                frames = self.dropout(frames)
            frames = _both_directions(networks, frames, places, sizes)
        return frames


def _both_directions(
    networks: tuple[nn.Module, nn.Module], frames: Tensor, places: list[Tensor], sizes: list[int]
) -> Tensor:
    """One layer: [total, dimension] to [total, 2 * width]."""
    gated = isinstance(networks[0], nn.GRU)
    entering: list[Tensor] = []
    weights: list[Tensor] = []
    biases: list[Tensor] = []
    for network, place in zip(networks, places, strict=True):
        weight = network.get_parameter("weight_hh_l0")
        bias, recurrent_bias = map(network.get_parameter, ("bias_ih_l0", "bias_hh_l0"))
        projected = linear(
            frames,
            network.get_parameter("weight_ih_l0"),
            bias if gated else bias + recurrent_bias,
        ).to(weight.dtype)
        entering.append(torch.empty_like(projected).index_copy(0, place, projected))
        weights.append(weight)
        biases.append(recurrent_bias)
    with torch.autocast(frames.device.type, enabled=False):  # the scan is in one precision
        if gated:
            states = gru_states(
                torch.stack(entering), torch.stack(weights), torch.stack(biases), sizes
            )
        else:
            states = lstm_states(torch.stack(entering), torch.stack(weights), sizes)
    read = [states[way].index_select(0, place) for way, place in enumerate(places)]
    return torch.cat(read, dim=1)


def _time_first(lengths: list[int], device: torch.device) -> tuple[list[int], list[Tensor]]:
    """Utterances that last to each step, and where each frame [total] lies, either direction."""
    segments = Segments(lengths, torch.device("cpu"))  # a GPU would be waited for several times
    counts, utterance = segments.counts, segments.utterance
    rank = torch.empty_like(counts)  # of each utterance by falling length
    rank[torch.argsort(counts, descending=True, stable=True)] = torch.arange(len(lengths))
    sizes = len(lengths) - torch.bincount(counts).cumsum(dim=0)[:-1]
    starts = sizes.cumsum(dim=0) - sizes
    since_last = counts.cumsum(dim=0)[utterance] - 1 - torch.arange(sum(lengths))
    since_first = counts[utterance] - 1 - since_last
    places = [starts[step] + rank[utterance] for step in (since_first, since_last)]
    return sizes.tolist(), [place.to(device) for place in places]
