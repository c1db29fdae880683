"""Content digests of many files, cached by path, size and modification time."""

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
class FileContent:
    """Size and digest of a file."""

    bytes: int
    sha256: str


class FileDigests:
    """sha256 of files, read once as long as path, size and modification time (ns) are the same."""

    def __init__(self, cache: Path | str) -> None:
        """`cache`: the JSON file that keeps them; one that is not there or not whole is empty."""
        self._path = Path(cache)
        self._known = _read(self._path)

    def of(self, paths: Iterable[Path]) -> list[FileContent | None]:
        """Of each path; None where no file can be read there. New ones are added to the cache.

        Raises `DiskError` where the cache cannot be written.
        """
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            found = list(pool.map(self._of, paths))
        fresh = {key: value for key, value in found if value is not None}
        if any(self._known.get(key) != value for key, value in fresh.items()):
            self._known |= fresh
            write_text(self._path, json.dumps(self._known, sort_keys=True))
        return [value and FileContent(value[0], value[2]) for _, value in found]

    def of_tree(self, root: Path | str) -> str:
        """One digest of a file, or of all files in a folder with their names; also of what is not
        there: the step that reads it says what is missing."""
        top = Path(root)
        files = sorted(p for p in top.rglob("*") if p.is_file()) if top.is_dir() else [top]
        names = [path.relative_to(top).as_posix() for path in files]
        found = self.of(files)
        return digest([[n, f and f.sha256] for n, f in zip(names, found, strict=True)])

    def _of(self, path: Path) -> tuple[str, tuple[int, int, str] | None]:
        key = str(Path(path).absolute())
        try:
            status = os.stat(path)
            known = self._known.get(key)
            if known is not None and known[:2] == (status.st_size, status.st_mtime_ns):
                return key, known
            return key, (status.st_size, status.st_mtime_ns, file_sha256(path))
        except (OSError, ValueError):  # ValueError: a name that no file system knows
            return key, None


def _read(path: Path) -> dict[str, tuple[int, int, str]]:
    try:
        rows = json.loads(path.read_text(encoding="utf-8")).items()
        return {key: (int(size), int(time), str(sha256)) for key, (size, time, sha256) in rows}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
