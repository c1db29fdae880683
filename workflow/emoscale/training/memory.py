"""Memory that is given back is taken again: a step's large arrays are the same each time."""

from __future__ import annotations

import ctypes

# Of glibc's malloc.h.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_NEVER = 2**31 - 1


def keep_freed_memory() -> None:
    """Let the process keep what it frees, where the C library is glibc.

    By itself it returns each large array to the system, which clears the pages for the next one:
    a fifth of the time of a training step on a busy machine. Results do not depend on it.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "gnu_get_libc_version"):
        library.mallopt(_MMAP_MAX, 0)
        library.mallopt(_TRIM_THRESHOLD, _NEVER)
