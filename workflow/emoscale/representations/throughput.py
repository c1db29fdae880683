"""Speed of an extraction: seconds of audio per second, and on a GPU the share of its rate."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from emoscale.audio.waveform import SAMPLE_RATE
from emoscale.runtime.errors import error_summary

_MATRIX_ROWS = {"cpu": 1536, "cuda": 4096}
_MATRIX_PRODUCTS = 3


def describe_throughput(
    representation: Any,
    precision: str | None,
    seconds: Sequence[float],
    elapsed: float,
    device: torch.device,
) -> str:
    """Describe the speed of an extraction.

    Parameters
    ----------
    representation : Representation
        The representation.
    precision : str or None
        float32 or bfloat16, the type of its computation; None if unknown.
    seconds : sequence of float
        Duration of each utterance.
    elapsed : float
        Seconds that all of them took, from the audio files to the verified shard.
    device : torch.device
        Device of the computation.

    Returns
    -------
    str
        Audio, time and rate; on a GPU also the share of the rate of a matrix product of the same
        type, or why it is unknown.
    """
    audio = sum(seconds)
    text = f"{audio:,.0f} s of audio in {elapsed:,.1f} s, {audio / elapsed:,.0f} s of audio per s"
    if device.type == "cpu" or precision is None or representation.modality == "text" or not audio:
        return text
    try:
        # They grow almost linearly with the duration.
        operations = len(seconds) * count_operations(representation, audio / len(seconds))
        rate = matrix_rate(getattr(torch, precision), device)
    except Exception as error:  # of any type; the features are complete without this line
        return f"{text} (share of the rate of matrix products unknown: {error_summary(error)})"
    return f"{text}, {operations / elapsed / rate:.0%} of the rate of matrix products"


def count_operations(representation: Any, seconds: float) -> int:
    """Count the operations of a representation of speech for noise of a given duration.

    Parameters
    ----------
    representation : Representation
        The representation.
    seconds : float
        Duration of the noise.

    Returns
    -------
    int
        Floating-point operations of matrix products, convolutions and attention.
    """
    samples = round(seconds * SAMPLE_RATE)
    noise = np.random.default_rng(0).normal(0.0, 0.1, samples).astype(np.float32)
    with FlopCounterMode(display=False) as counter:
        representation.extract([noise])
    return int(counter.get_total_flops())


def matrix_rate(dtype: torch.dtype, device: torch.device) -> float:
    """Measure the rate of products of two square matrices.

    Parameters
    ----------
    dtype : torch.dtype
        Type of the matrices.
    device : torch.device
        Device of the computation.

    Returns
    -------
    float
        Floating-point operations per second.
    """
    rows = _MATRIX_ROWS[device.type]
    left, right = (torch.randn(rows, rows, device=device, dtype=dtype) for _ in range(2))
    for _ in range(2):
        product = left @ right
    float(product[0, 0])  # waits for a GPU
    start = time.perf_counter()
    for _ in range(_MATRIX_PRODUCTS):
        product = left @ right
    float(product[0, 0])
    return _MATRIX_PRODUCTS * 2 * rows**3 / (time.perf_counter() - start)
