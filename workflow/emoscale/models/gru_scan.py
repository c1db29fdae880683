"""Gated recurrent units through time on a CPU, both directions at once, over what still lasts.

torch's own takes two to three times as long there over padded utterances, and more over packed
sequences or one by one (docs/benchmarks.md). Here the gradient is written out: what does not depend
on the step before is computed for all frames together, before or after the loop.

Frames lie time first, the utterances of a step by falling length: those of a step that last to the
next one are its first. Dimensions are `[2, total, ...]`, the reading direction first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


def gru_states(entering: Tensor, weight: Tensor, bias: Tensor, sizes: Sequence[int]) -> Tensor:
    """States [2, total, w] of `entering` [2, total, 3w], what the frames alone contribute.

    `weight` [2, 3w, w] and `bias` [2, 3w] act on the state of the step before; `sizes` are of the
    steps.
    """
    states: Tensor = _GruScan.apply(entering, weight, bias, sizes)  # type: ignore[no-untyped-call]
    return states


class _GruScan(Function):
    """The gated recurrent unit of `torch.nn.GRU`: r and z gates, candidate n."""

    @staticmethod
    def forward(
        ctx: Any, entering: Tensor, weight: Tensor, bias: Tensor, sizes: Sequence[int]
    ) -> Tensor:
        width = weight.shape[2]
        states = entering.new_empty(*entering.shape[:2], width)
        before, candidates, reset = (torch.empty_like(states) for _ in range(3))
        gates = entering.new_empty(*entering.shape[:2], 2 * width)
        transposed, bias = weight.transpose(1, 2), bias[:, None]
        state = entering.new_zeros(2, sizes[0], width)
        for now in _steps(sizes):
            state = state[:, : now.stop - now.start]
            before[:, now] = state
            recurrent = torch.baddbmm(bias, state, transposed)
            gate = (entering[:, now, : 2 * width] + recurrent[..., : 2 * width]).sigmoid_()
            r, z = torch.split(gate, width, dim=2)
            gates[:, now] = gate
            reset[:, now] = recurrent[..., 2 * width :]
            n = torch.addcmul(entering[:, now, 2 * width :], r, recurrent[..., 2 * width :]).tanh_()
            candidates[:, now] = n
            state = torch.lerp(n, state, z)
            states[:, now] = state
        ctx.save_for_backward(weight, before, gates, candidates, reset)
        ctx.sizes = sizes
        return states

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        weight, before, gates, candidates, reset = ctx.saved_tensors
        width = weight.shape[2]
        r, z = torch.split(gates, width, dim=2)
        by_z = (before - candidates) * z * (1 - z)
        by_n = (1 - z) * (1 - candidates.square())
        by_r = reset * r * (1 - r)
        of_n = torch.empty_like(candidates)
        of_gates = gradient.new_empty(*gradient.shape[:2], 3 * width)
        carried = gradient.new_zeros(2, 0, width)
        for now in reversed(list(_steps(ctx.sizes))):
            of_state = gradient[:, now].clone()
            of_state[:, : carried.shape[1]] += carried
            n = torch.mul(of_state, by_n[:, now])
            of_n[:, now] = n
            torch.mul(n, by_r[:, now], out=of_gates[:, now, :width])
            torch.mul(of_state, by_z[:, now], out=of_gates[:, now, width : 2 * width])
            torch.mul(n, r[:, now], out=of_gates[:, now, 2 * width :])
            carried = torch.baddbmm(of_state * z[:, now], of_gates[:, now], weight)
        of_entering = torch.cat([of_gates[..., : 2 * width], of_n], dim=2)
        return of_entering, of_gates.transpose(1, 2) @ before, of_gates.sum(dim=1), None


def _steps(sizes: Sequence[int]) -> Iterator[slice]:
    """The frames of each step, of the number of utterances that last to it."""
    start = 0
    for size in sizes:
        yield slice(start, start + size)
        start += size
