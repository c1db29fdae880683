"""Moves a damaged file of a study's results aside, so that the next run makes it again."""

from __future__ import annotations

import os
from pathlib import Path

from emoscale.runtime.errors import DamagedFileError, UserError

RESULTS = "EMOSCALE_RESULTS"
"""Environment variable of a step of the workflow: the folder whose files may be moved."""


def set_aside(error: DamagedFileError, results: Path | None = None) -> str:
    """Rename the damaged file to `<name>.damaged`, and say in a sentence what was done.

    Nothing is moved outside `results` (else the folder that `EMOSCALE_RESULTS` names), nor where
    the file turns out to be whole or the system cannot read it: that is no damage. Files that stand
    for the damaged one in the workflow are renamed to `<name>.aside` before it. Nothing is deleted.
    """
    path, folder = error.path, results or os.environ.get(RESULTS)
    if not folder or not path.resolve().is_relative_to(Path(folder).resolve()):
        return str(error)
    try:
        found = _identity(path)
        _read_through(path)
    except FileNotFoundError:
        return f"{path}: {error.detail}; another step has moved it aside: run again to make it"
    except OSError as reason:
        return f"{path} cannot be read ({reason.strerror}); it was not moved: mend that, run again"
    try:
        error.check()
    except DamagedFileError:
        pass
    except UserError as reason:
        return str(reason)
    else:
        return f"{path}: {error.detail}, but a moment later it was whole; run again"
    try:
        if _identity(path) != found:
            return f"{path}: {error.detail}, and was then replaced; run again"
        for other in error.standing_for:
            _rename(other, "aside")
        moved = _rename(path, "damaged")
    except OSError as reason:
        return f"{error}; it could not be moved aside ({reason.strerror})"
    if moved is None:
        return f"{path}: {error.detail}; another step has moved it aside: run again to make it"
    return f"{path}: {error.detail}; it was moved to {moved.name}, and the next run makes it again"


def _identity(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_ino, status.st_size, status.st_mtime_ns


def _read_through(path: Path) -> None:
    with open(path, "rb") as file:
        while file.read(1 << 24):
            pass


def _rename(path: Path, ending: str) -> Path | None:
    """Give `path` an ending that no file has; None where it is gone already."""
    target, number = path.with_name(f"{path.name}.{ending}"), 2
    while target.exists():
        target, number = path.with_name(f"{path.name}.{ending}{number}"), number + 1
    try:
        path.rename(target)
    except FileNotFoundError:
        return None
    return target
