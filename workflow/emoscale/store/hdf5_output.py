"""Output file for HDF5 that survives a full disk.

HDF5 keeps data that it could not write, tries again when the file is closed, and then crashes the
process. The file object of this module never fails while HDF5 uses it, and raises afterwards.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class _DeferredErrorFile(io.RawIOBase):
    """File that stores the first write error instead of raising it, and ignores later writes."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "w+b", buffering=0)  # noqa: SIM115 - closed in `close`
        self.write_error: OSError | None = None

    def write(self, content: Any) -> int:
        view = memoryview(content).cast("B")
        written = 0
        while self.write_error is None and written < len(view):
            try:
                written += self._file.write(view[written:])
            except OSError as error:
                self.write_error = error
        if self.write_error is not None:
            self._file.seek(len(view) - written, io.SEEK_CUR)
        return len(view)

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        read = 0
        while read < len(view):
            count = self._file.readinto(view[read:])
            if not count:
                break
            read += count
        if self.write_error is not None:  # data that was not written reads as zeros
            view[read:] = bytes(len(view) - read)
            return len(view)
        return read

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def truncate(self, size: int | None = None) -> int:
        if self.write_error is None:
            try:
                return self._file.truncate(size)
            except OSError as error:
                self.write_error = error
        return self._file.tell() if size is None else size

    def flush(self) -> None:
        """Do nothing: the file has no buffer."""

    def close(self) -> None:
        self._file.close()
        super().close()


@contextlib.contextmanager
def open_hdf5_output(path: Path) -> Iterator[io.RawIOBase]:
    """Open a file to pass to `h5py.File`.

    Parameters
    ----------
    path : Path
        File to write.

    Yields
    ------
    RawIOBase
        File object for reading and writing.

    Raises
    ------
    OSError
        On exit, if a write failed.
    """
    file = _DeferredErrorFile(path)
    try:
        yield file
    except Exception:
        if file.write_error is None:
            raise
    finally:
        file.close()
    if file.write_error is not None:
        raise file.write_error
