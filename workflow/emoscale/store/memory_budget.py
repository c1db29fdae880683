"""Memory budget of large arrays: beyond it they are memory-mapped from temporary files."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emoscale.runtime.errors import StoreError


class MemoryBudget:
    """Allocates arrays in memory up to a limit, and as memory-mapped temporary files beyond it.

    The files have no name and vanish with the process. Values do not depend on the location.

    Parameters
    ----------
    memory_bytes : int or None
        Limit of all arrays in memory; None for no limit.
    folder : Path or None
        Folder of the temporary files; None for the system's default.
    """

    def __init__(self, memory_bytes: int | None = None, folder: Path | None = None) -> None:
        self._remaining_bytes = memory_bytes
        self._folder = folder

    def allocate(self, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
        """Allocate an uninitialised array.

        Parameters
        ----------
        shape : tuple of int
            Shape of the array.
        dtype : dtype
            Type of its values.

        Returns
        -------
        ndarray
            Array in memory or a memory map.

        Raises
        ------
        StoreError
            If the disk has not enough free space for the temporary file.
        """
        size = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        if self._remaining_bytes is None:
            return np.empty(shape, dtype)
        if size <= self._remaining_bytes:
            self._remaining_bytes -= size
            return np.empty(shape, dtype)
        folder = self._folder or Path(tempfile.gettempdir())
        with tempfile.TemporaryFile(dir=folder) as file:
            try:
                os.posix_fallocate(file.fileno(), 0, max(size, 1))
            except OSError as error:
                raise StoreError(
                    f"{folder} has no space for {size / 1e9:.1f} GB of features that do not fit in "
                    f"memory ({error.strerror}); free disk space, give the job more memory, or set "
                    "TMPDIR"
                ) from None
            return np.memmap(file, dtype, "r+", shape=shape)
