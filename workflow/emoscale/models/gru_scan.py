"""Gated recurrent units over time on a CPU, both directions at once, without padding.

torch's GRU takes two to three times as long on padded utterances, and longer on packed sequences
or one utterance at a time (see the benchmarks in the documentation). Here the gradient is written
out: whatever does not depend on the previous step is computed for all frames at once, before or
after the loop.

Frames are in time-major order as in torch's `PackedSequence`: all first steps, then all second
steps, and so on; within a step utterances are sorted by descending length, so that those which
have a next step come first. Tensors are ``[2, total frames, ...]``, the reading direction first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


def gru_states(
    projected_inputs: Tensor, weight: Tensor, bias: Tensor, batch_sizes: Sequence[int]
) -> Tensor:
    """Compute the hidden states of a gated recurrent unit.

    Parameters
    ----------
    projected_inputs : Tensor
        Input-hidden projection of the frames, with bias, ``[2, total frames, 3 * hidden size]``.
    weight : Tensor
        Hidden-hidden weights, ``[2, 3 * hidden size, hidden size]``.
    bias : Tensor
        Hidden-hidden biases, ``[2, 3 * hidden size]``.
    batch_sizes : sequence of int
        Number of utterances of each step.

    Returns
    -------
    Tensor
        Hidden states, ``[2, total frames, hidden size]``.
    """
    states: Tensor = _GruScan.apply(  # type: ignore[no-untyped-call]
        projected_inputs, weight, bias, batch_sizes
    )
    return states


class _GruScan(Function):
    """The gated recurrent unit of `torch.nn.GRU`: reset gate r, update gate z, new gate n."""

    @staticmethod
    def forward(
        ctx: Any, projected: Tensor, weight: Tensor, bias: Tensor, batch_sizes: Sequence[int]
    ) -> Tensor:
        size = weight.shape[2]
        states = projected.new_empty(*projected.shape[:2], size)
        previous, new_gates, recurrent_new = (torch.empty_like(states) for _ in range(3))
        gates = projected.new_empty(*projected.shape[:2], 2 * size)
        transposed, bias = weight.transpose(1, 2), bias[:, None]
        state = projected.new_zeros(2, batch_sizes[0], size)
        for step in _steps(batch_sizes):
            state = state[:, : step.stop - step.start]
            previous[:, step] = state
            recurrent = torch.baddbmm(bias, state, transposed)
            gate = (projected[:, step, : 2 * size] + recurrent[..., : 2 * size]).sigmoid_()
            r, z = torch.split(gate, size, dim=2)
            gates[:, step] = gate
            recurrent_new[:, step] = recurrent[..., 2 * size :]
            n = torch.addcmul(projected[:, step, 2 * size :], r, recurrent[..., 2 * size :]).tanh_()
            new_gates[:, step] = n
            state = torch.lerp(n, state, z)
            states[:, step] = state
        ctx.save_for_backward(weight, previous, gates, new_gates, recurrent_new)
        ctx.batch_sizes = batch_sizes
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        weight, previous, gates, new_gates, recurrent_new = ctx.saved_tensors
        size = weight.shape[2]
        r, z = torch.split(gates, size, dim=2)
        # Derivatives of the state by the arguments of sigmoid and tanh; r is reached through n.
        state_by_z = (previous - new_gates) * z * (1 - z)
        state_by_n = (1 - z) * (1 - new_gates.square())
        n_by_r = recurrent_new * r * (1 - r)
        grad_n = torch.empty_like(new_gates)
        grad_recurrent = gradient.new_empty(*gradient.shape[:2], 3 * size)
        carried = gradient.new_zeros(2, 0, size)
        for step in reversed(list(_steps(ctx.batch_sizes))):
            grad_state = gradient[:, step].clone()
            grad_state[:, : carried.shape[1]] += carried
            n = torch.mul(grad_state, state_by_n[:, step])
            grad_n[:, step] = n
            torch.mul(n, n_by_r[:, step], out=grad_recurrent[:, step, :size])
            torch.mul(grad_state, state_by_z[:, step], out=grad_recurrent[:, step, size : 2 * size])
            torch.mul(n, r[:, step], out=grad_recurrent[:, step, 2 * size :])
            carried = torch.baddbmm(grad_state * z[:, step], grad_recurrent[:, step], weight)
        grad_projected = torch.cat([grad_recurrent[..., : 2 * size], grad_n], dim=2)
        grad_weight = grad_recurrent.transpose(1, 2) @ previous
        return grad_projected, grad_weight, grad_recurrent.sum(dim=1), None


def _steps(batch_sizes: Sequence[int]) -> Iterator[slice]:
    """Yield the slice of the frames of each step."""
    start = 0
    for size in batch_sizes:
        yield slice(start, start + size)
        start += size
