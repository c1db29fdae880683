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

    The weights are those of torch's bidirectional GRU or LSTM, one network per layer. torch also
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
        self.networks = nn.ModuleList(
            rnn_class(size, hidden_size, bidirectional=True) for size in input_sizes
        )
        self.dropout = Dropout(dropout)

    def forward(self, frames: Tensor, layout: PackedLayout) -> Tensor:
        """Encode frames [total frames, input size] to [total frames, 2 * hidden size].

        The states of the forward direction come first.
        """
        for layer, network in enumerate(self.networks):
            if layer:
                frames = self.dropout(frames)
            if prefers_few_operations(frames.device):
                encode = _encode_packed
            elif isinstance(network, nn.LSTM):
                encode = _encode_each
            else:
                encode = _encode_with_scan
            frames = encode(network, frames, layout)
        return frames


def _encode_packed(network: nn.Module, frames: Tensor, layout: PackedLayout) -> Tensor:
    """Compute one layer with torch's `PackedSequence`."""
    index, _ = layout.time_major
    with torch.autocast(frames.device.type, enabled=False):
        sorted_frames = torch.empty_like(frames).index_copy(0, index, frames).float()
        states, _ = network(PackedSequence(sorted_frames, layout.batch_sizes))
    encoded: Tensor = states.data.index_select(0, index)
    return encoded


def _encode_each(network: nn.Module, frames: Tensor, layout: PackedLayout) -> Tensor:
    """Compute one layer, one utterance at a time."""
    with torch.autocast("cpu", enabled=False):
        utterances = torch.split(frames.float(), layout.lengths)
        return torch.cat([network(utterance)[0] for utterance in utterances])


def _encode_with_scan(network: nn.Module, frames: Tensor, layout: PackedLayout) -> Tensor:
    """Compute one layer of gated recurrent units."""

    def parameters(name: str) -> list[Tensor]:
        return [network.get_parameter(f"{name}_l0{suffix}") for suffix in ("", "_reverse")]

    projected_inputs = []
    for weight, bias, index in zip(
        parameters("weight_ih"), parameters("bias_ih"), layout.time_major, strict=True
    ):
        projected = linear(frames, weight, bias).float()
        projected_inputs.append(torch.empty_like(projected).index_copy(0, index, projected))
    weights, biases = map(torch.stack, (parameters("weight_hh"), parameters("bias_hh")))
    with torch.autocast("cpu", enabled=False):  # gru_states needs tensors of one type
        states = gru_states(
            torch.stack(projected_inputs), weights, biases, layout.batch_sizes.tolist()
        )
    outputs = [
        direction.index_select(0, index)
        for direction, index in zip(states, layout.time_major, strict=True)
    ]
    return torch.cat(outputs, dim=1)
