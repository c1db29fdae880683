"""The choice between two ways of computing a network: that of a CPU, and that of a GPU."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

_forced: bool | None = None


def prefers_few_operations(device: torch.device) -> bool:
    """Return whether to compute with few large operations, as a GPU is fastest.

    Each operation on a GPU costs the CPU some microseconds to start it, whatever its size. A CPU
    is faster with many operations whose values fit its cache, and without padding.

    Parameters
    ----------
    device : torch.device
        Device of the computation.

    Returns
    -------
    bool
        True on a GPU, unless `force_few_operations` decides.
    """
    return device.type != "cpu" if _forced is None else _forced


@contextlib.contextmanager
def force_few_operations(few: bool) -> Iterator[None]:
    """Compute networks the GPU's way, or the CPU's, on every device; for tests and measurements.

    Parameters
    ----------
    few : bool
        Whether to compute with few large operations.
    """
    global _forced
    before, _forced = _forced, few
    try:
        yield
    finally:
        _forced = before
