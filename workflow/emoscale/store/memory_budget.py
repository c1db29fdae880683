"""Where large arrays lie: in memory up to a budget, then in files."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emoscale.runtime.errors import StoreError


class MemoryBudget:
    """Allocates arrays in memory up to a limit, and memory-mapped nameless files beyond it.

    The files lie in `folder` and vanish with the process. Values do not depend on where they are.
    """

    def __init__(self, memory_bytes: int | None = None, folder: Path | None = None) -> None:
        """`memory_bytes`: None for no limit."""
        self._left = memory_bytes
        self._folder = folder

    def array(self, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
        """An array that is to be filled; raises `StoreError` where the disk has no room for it."""
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        if self._left is None:
            return np.empty(shape, dtype)
        if size <= self._left:
            self._left -= size
            return np.empty(shape, dtype)
        folder = self._folder or Path(tempfile.gettempdir())
        with tempfile.TemporaryFile(dir=folder) as file:
            try:
                os.posix_fallocate(file.fileno(), 0, max(size, 1))
            except OSError as error:
                raise StoreError(
                    f"{folder} has no room for {size / 1e9:.1f} GB of features that do not fit in "
                    f"memory ({error.strerror}); free some, give the job more memory, or set TMPDIR"
                ) from None
            return np.memmap(file, dtype, "r+", shape=shape)
