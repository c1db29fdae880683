"""A file for HDF5 to write to, which does not crash where the disk is full."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class _Underlying(io.RawIOBase):
    """Passes on to a file until the disk refuses something; then only remembers the refusal.

    HDF5 keeps what it could not write, tries again when it is closed, and crashes the process.
    """

    def __init__(self, path: Path) -> None:
        self._file = open(path, "w+b", buffering=0)  # noqa: SIM115 - closed in `close`
        self.refused: OSError | None = None

    def write(self, content: Any) -> int:
        view = memoryview(content).cast("B")
        done = 0
        while self.refused is None and done < len(view):
            try:
                done += self._file.write(view[done:])
            except OSError as error:
                self.refused = error
        if self.refused is not None:
            self._file.seek(len(view) - done, io.SEEK_CUR)
        return len(view)

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        done = 0
        while done < len(view):
            count = self._file.readinto(view[done:])
            if not count:
                break
            done += count
        if self.refused is not None:  # what was never written reads as zeros
            view[done:] = bytes(len(view) - done)
            return len(view)
        return done

    def seek(self, place: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(place, whence)

    def tell(self) -> int:
        return self._file.tell()

    def truncate(self, size: int | None = None) -> int:
        if self.refused is None:
            try:
                return self._file.truncate(size)
            except OSError as error:
                self.refused = error
        return self._file.tell() if size is None else size

    def flush(self) -> None:
        """Nothing waits in memory."""

    def close(self) -> None:
        self._file.close()
        super().close()


@contextlib.contextmanager
def open_for_hdf5(path: Path) -> Iterator[io.RawIOBase]:
    """A file for `h5py.File`; raises `OSError` at the end where the disk refused anything."""
    file = _Underlying(path)
    try:
        yield file
    except Exception:
        if file.refused is None:
            raise
    finally:
        file.close()
    if file.refused is not None:
        raise file.refused
