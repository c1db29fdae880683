"""Copies of a batch to the device of a network, and of its features back to main memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor


def padded_waveforms(waveforms: Sequence[Tensor], device: torch.device) -> Tensor:
    """Copy waveforms to a device in one transfer, padded with zeros to the same length.

    Parameters
    ----------
    waveforms : sequence of Tensor
        Waveforms ``[samples]`` in main memory.
    device : torch.device
        Device of the network.

    Returns
    -------
    Tensor
        ``[batch, samples]`` on the device, float32.
    """
    shape = (len(waveforms), max(map(len, waveforms)))
    padded = torch.zeros(shape, pin_memory=device.type == "cuda")
    for row, waveform in zip(padded, waveforms, strict=True):
        row[: len(waveform)] = waveform
    return padded.to(device, non_blocking=True)


def stored_arrays(frames: Sequence[Tensor], dtype: torch.dtype) -> list[NDArray[Any]]:
    """Copy frames to main memory in their stored type, from a GPU in one transfer.

    A transfer waits for all computations of the GPU, so one per utterance would let it idle.

    Parameters
    ----------
    frames : sequence of Tensor
        ``[..., frames, dimension]`` of each utterance; all other axes are equal.
    dtype : torch.dtype
        The stored type.

    Returns
    -------
    list of ndarray
        The same values, one array per utterance.
    """
    stored = [each.to(dtype) for each in frames]
    joined = stored[0] if len(stored) == 1 else torch.cat(stored, dim=-2)
    if joined.is_cuda:  # a GPU copies to pinned memory several times as fast
        joined = torch.empty(joined.shape, dtype=dtype, pin_memory=True).copy_(joined)
    counts = [each.shape[-2] for each in frames]
    return [each.numpy() for each in torch.split(joined, counts, dim=-2)]
