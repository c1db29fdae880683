"""Errors of insufficient memory, turned into messages that name the step and the remedy."""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Callable, Iterator

from emoscale.runtime.errors import MemoryLimitError

FEWER_PARALLEL_STEPS = (
    "run fewer steps in parallel (--cores), or raise the memory reserved for each "
    "(--set-resources RULE:mem_mb=NUMBER) so that fewer run at the same time"
)
"""Remedy for all steps that share a machine."""


def default_memory_advice(on_gpu: bool) -> str:
    """Return the remedy that applies to every step.

    Parameters
    ----------
    on_gpu : bool
        Whether the memory of a GPU was exhausted.

    Returns
    -------
    str
        The end of a sentence, in the imperative.
    """
    if on_gpu:
        return "set execution.device to cpu, or let fewer steps share the GPU (--resources gpu=1)"
    return FEWER_PARALLEL_STEPS


_OUT_OF_MEMORY = re.compile(
    r"can't allocate memory|not enough memory|out of memory|_ALLOC_FAILED|Cannot allocate memory",
    flags=re.IGNORECASE,
)
_ALLOCATION = re.compile(r"allocate (\d[\d.]*) ?(bytes|[KMGTP]i?B)")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error of Python, numpy, torch or the system means insufficient memory.

    Parameters
    ----------
    error : BaseException
        The error.

    Returns
    -------
    bool
        True if memory was exhausted.

    Examples
    --------
    >>> is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError("shapes do not match"))
    (True, False)
    """
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    # torch is not imported for this: its error is a RuntimeError.
    return isinstance(error, RuntimeError) and (
        type(error).__name__ == "OutOfMemoryError" or _OUT_OF_MEMORY.search(str(error)) is not None
    )


@contextlib.contextmanager
def explain_out_of_memory(
    step: str, advice: Callable[[bool], str] = default_memory_advice
) -> Iterator[None]:
    """Convert errors of insufficient memory in the `with` block to a `MemoryLimitError`.

    Parameters
    ----------
    step : str
        Name of the step, for the message.
    advice : callable
        Returns the remedy for the message; its argument is whether a GPU's memory was exhausted.

    Yields
    ------
    None
        Control, to the block.

    Raises
    ------
    MemoryLimitError
        If memory is exhausted; all other errors pass unchanged.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        on_gpu = _is_gpu_error(error)
        memory = "the GPU's memory" if on_gpu else "memory"
        raise MemoryLimitError(
            f"{step}: {memory} ran out{_allocation(error)}; {advice(on_gpu)}"
        ) from None


def _is_gpu_error(error: BaseException) -> bool:
    text = f"{type(error).__name__} {error}"
    return any(name in text for name in ("CUDA", "CUBLAS", "CUDNN", "OutOfMemoryError"))


def _allocation(error: BaseException) -> str:
    """Clause with the size of the failed allocation, or nothing if the error does not state it."""
    match = _ALLOCATION.search(str(error))
    if match is None:
        return ""
    number, unit = float(match[1].rstrip(".")), match[2]
    size = f"{number / 1e9:,.1f} GB" if unit == "bytes" else f"{match[1]} {unit}"
    return f" when {size} more were requested"
