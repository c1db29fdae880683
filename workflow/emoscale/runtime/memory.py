"""Memory that runs out: which step it was, and which setting helps."""

from __future__ import annotations

import contextlib
import errno
import re
from collections.abc import Callable, Iterator

from emoscale.runtime.errors import MemoryLimitError

FEWER_AT_ONCE = (
    "run fewer steps at once (--cores), or raise what each may take "
    "(--set-resources RULE:mem_mb=NUMBER) so that fewer fit"
)
"""What helps wherever steps share a machine."""


def usual_advice(on_gpu: bool) -> str:
    """What helps any step."""
    if on_gpu:
        return "set execution.device to cpu, or let fewer steps share the GPU (--resources gpu=1)"
    return FEWER_AT_ONCE


_WORDS = re.compile(
    r"can't allocate memory|not enough memory|out of memory|_ALLOC_FAILED|Cannot allocate memory",
    flags=re.IGNORECASE,
)
_AMOUNT = re.compile(r"allocate (\d[\d.]*) ?(bytes|[KMGTP]i?B)")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of Python, numpy, torch or the system says that memory ran out.

    >>> is_out_of_memory(MemoryError()), is_out_of_memory(RuntimeError("shapes do not match"))
    (True, False)
    """
    if isinstance(error, MemoryError):
        return True
    if isinstance(error, OSError):
        return error.errno == errno.ENOMEM
    # torch is not imported for this: its error is a RuntimeError.
    return isinstance(error, RuntimeError) and (
        type(error).__name__ == "OutOfMemoryError" or _WORDS.search(str(error)) is not None
    )


@contextlib.contextmanager
def explain_out_of_memory(
    step: str, advice: Callable[[bool], str] = usual_advice
) -> Iterator[None]:
    """Where memory runs out within, raise a `MemoryLimitError` that names the step and what helps.

    `advice` is told whether it was a GPU's memory.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        on_gpu = _on_gpu(error)
        where = "the GPU's memory" if on_gpu else "memory"
        raise MemoryLimitError(
            f"{step}: {where} ran out{_amount(error)}; {advice(on_gpu)}"
        ) from None


def _on_gpu(error: BaseException) -> bool:
    text = f"{type(error).__name__} {error}"
    return any(word in text for word in ("CUDA", "CUBLAS", "CUDNN", "OutOfMemoryError"))


def _amount(error: BaseException) -> str:
    found = _AMOUNT.search(str(error))
    if found is None:
        return ""
    number, unit = float(found[1].rstrip(".")), found[2]
    said = f"{number / 1e9:,.1f} GB" if unit == "bytes" else f"{found[1]} {unit}"
    return f" when {said} more were asked for"
