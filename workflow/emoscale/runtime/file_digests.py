"""SHA-256 digests of many files, cached by path, size and modification time."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from emoscale.runtime.files import write_text
from emoscale.runtime.provenance import digest, file_sha256


@dataclass(frozen=True)
class FileDigest:
    """Size and digest of a file's content."""

    size_bytes: int
    sha256: str


class FileDigests:
    """Digests of files; a file is read again only if its size or modification time changes.

    Parameters
    ----------
    cache : Path or str
        JSON file that stores the digests; a missing or damaged one counts as empty.
    """

    def __init__(self, cache: Path | str) -> None:
        self._path = Path(cache)
        self._cached = _read_cache(self._path)

    def compute(self, paths: Iterable[Path]) -> list[FileDigest | None]:
        """Return the digest of each file and add new ones to the cache.

        Parameters
        ----------
        paths : iterable of Path
            The files.

        Returns
        -------
        list of FileDigest or None
            One per path, in order; None if the file cannot be read.

        Raises
        ------
        DiskError
            If the cache cannot be written.
        """
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            entries = list(pool.map(self._entry, paths))
        readable = {key: value for key, value in entries if value is not None}
        if any(self._cached.get(key) != value for key, value in readable.items()):
            self._cached |= readable
            write_text(self._path, json.dumps(self._cached, sort_keys=True))
        return [value and FileDigest(value[0], value[2]) for _, value in entries]

    def path_digest(self, root: Path | str) -> str:
        """Return one digest of a file, or of all files in a folder with their names.

        A missing path has a digest too; the step that reads it reports the error.

        Parameters
        ----------
        root : Path or str
            A file or a folder.

        Returns
        -------
        str
            Digest, hexadecimal.
        """
        top = Path(root)
        files = sorted(p for p in top.rglob("*") if p.is_file()) if top.is_dir() else [top]
        names = [path.relative_to(top).as_posix() for path in files]
        contents = self.compute(files)
        return digest(
            [[name, file and file.sha256] for name, file in zip(names, contents, strict=True)]
        )

    def _entry(self, path: Path) -> tuple[str, tuple[int, int, str] | None]:
        """Key of a file in the cache, and its size, modification time (ns) and digest."""
        key = str(Path(path).absolute())
        try:
            status = os.stat(path)
            cached = self._cached.get(key)
            if cached is not None and cached[:2] == (status.st_size, status.st_mtime_ns):
                return key, cached
            return key, (status.st_size, status.st_mtime_ns, file_sha256(path))
        except (OSError, ValueError):  # ValueError: a name that no file system accepts
            return key, None


def _read_cache(path: Path) -> dict[str, tuple[int, int, str]]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8")).items()
        return {key: (int(size), int(time), str(sha256)) for key, (size, time, sha256) in rows}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
