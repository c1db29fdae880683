"""Bidirectional recurrent network (GRU or LSTM) over packed frames."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils.rnn import PackedSequence

from emoscale.models.execution import prefers_few_operations
from emoscale.models.gru_scan import gru_states
from emoscale.models.layers import Dropout
from emoscale.models.packed_layout import PackedLayout

_RNN_CLASSES = {"gru": nn.GRU, "lstm": nn.LSTM}


class RecurrentEncoder(nn.Module):
    """Stacked bidirectional recurrent layers with dropout between them.

    The weights are those of torch's GRU or LSTM, one network per layer and direction. torch also
    computes the steps: on packed sequences on a GPU (cuDNN), and one utterance at a time for an
    LSTM on a CPU. Only a GRU on a CPU is computed by `emoscale.models.gru_scan`, which is two to
    three times as fast. States are in float32.

    Parameters
    ----------
    input_size : int
        Dimension of the frames.
    rnn_type : {"gru", "lstm"}
        Type of the recurrent unit.
    hidden_size : int
        Number of units per direction.
    num_layers : int
        Number of layers.
    dropout : float
        Probability that a value is dropped between layers.
    """

    def __init__(
        self,
        input_size: int,
        rnn_type: Literal["gru", "lstm"],
        hidden_size: int,
        num_layers: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.output_size = 2 * hidden_size
        """Dimension of the output frames."""
        input_sizes = [input_size] + [self.output_size] * (num_layers - 1)
        rnn_class = _RNN_CLASSES[rnn_type]
        self.forwards = nn.ModuleList(rnn_class(size, hidden_size) for size in input_sizes)
        self.backwards = nn.ModuleList(rnn_class(size, hidden_size) for size in input_sizes)
        self.dropout = Dropout(dropout)

    def forward(self, frames: Tensor, layout: PackedLayout) -> Tensor:
        """Encode frames [total frames, input size] to [total frames, 2 * hidden size].

        The states of the forward direction come first.
        """
        for layer, networks in enumerate(zip(self.forwards, self.backwards, strict=True)):
            if layer:
                frames = self.dropout(frames)
            if prefers_few_operations(frames.device):
                encode = _encode_packed
            elif isinstance(networks[0], nn.LSTM):
                encode = _encode_each
            else:
                encode = _encode_with_scan
            frames = encode(networks, frames, layout)
        return frames


def _encode_packed(
    networks: tuple[nn.Module, nn.Module], frames: Tensor, layout: PackedLayout
) -> Tensor:
    """Compute one layer with torch's `PackedSequence`."""
    outputs = []
    with torch.autocast(frames.device.type, enabled=False):
        for network, index in zip(networks, layout.time_major, strict=True):
            sorted_frames = torch.empty_like(frames).index_copy(0, index, frames).float()
            states, _ = network(PackedSequence(sorted_frames, layout.batch_sizes))
            outputs.append(states.data.index_select(0, index))
    return torch.cat(outputs, dim=1)


def _encode_each(
    networks: tuple[nn.Module, nn.Module], frames: Tensor, layout: PackedLayout
) -> Tensor:
    """Compute one layer, one utterance at a time."""
    forwards, backwards = networks
    with torch.autocast("cpu", enabled=False):
        return torch.cat(
            [
                torch.cat([forwards(utterance)[0], backwards(utterance.flip(0))[0].flip(0)], dim=1)
                for utterance in torch.split(frames.float(), layout.lengths)
            ]
        )


def _encode_with_scan(
    networks: tuple[nn.Module, nn.Module], frames: Tensor, layout: PackedLayout
) -> Tensor:
    """Compute one layer of gated recurrent units."""
    projected_inputs = []
    for network, index in zip(networks, layout.time_major, strict=True):
        weight, bias = map(network.get_parameter, ("weight_ih_l0", "bias_ih_l0"))
        projected = linear(frames, weight, bias).float()
        projected_inputs.append(torch.empty_like(projected).index_copy(0, index, projected))
    weights = torch.stack([network.get_parameter("weight_hh_l0") for network in networks])
    biases = torch.stack([network.get_parameter("bias_hh_l0") for network in networks])
    with torch.autocast("cpu", enabled=False):  # gru_states needs tensors of one type
        states = gru_states(
            torch.stack(projected_inputs), weights, biases, layout.batch_sizes.tolist()
        )
    outputs = [
        direction.index_select(0, index)
        for direction, index in zip(states, layout.time_major, strict=True)
    ]
    return torch.cat(outputs, dim=1)
