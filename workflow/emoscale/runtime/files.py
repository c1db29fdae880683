"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emoscale.runtime.errors import DiskError


@contextlib.contextmanager
def atomic_path(path: Path | str) -> Iterator[Path]:
    """Give a temporary path beside `path`; on a clean exit it takes the name `path`.

    The content is on disk (fsync of file and folder) before the name changes, so a reader or a
    killed run never sees half a file. On an error the temporary file is removed and the error
    goes on; where the disk is the reason, it is a `DiskError`. What a killed writer of the same
    path left is removed: a temporary file is locked while its writer lives.
    """
    target = Path(path)
    with explain_disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_what_was_left(target)
        handle, name = tempfile.mkstemp(
            prefix=f".{target.stem}.", suffix=target.suffix, dir=target.parent
        )
        _is_dead(handle)
    temporary = Path(name)
    try:
        with explain_disk_errors(target, temporary):
            yield temporary
            _make_readable_like_a_new_file(temporary)
            _fsync(temporary)
            os.replace(temporary, target)
            _fsync(target.parent)
    finally:
        os.close(handle)
        # What stays on a disk that takes no change is removed by the next writer.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def temporary_folder(beside: Path | str) -> Iterator[Path]:
    """Give an empty folder beside a path, in which its content is made; removed at the end.

    Those that killed writers of the same path left are removed before.
    """
    target = Path(beside)
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_what_was_left(target)
    with tempfile.TemporaryDirectory(
        prefix=f".{target.stem}.", suffix=target.suffix, dir=target.parent
    ) as name:
        handle = os.open(name, os.O_RDONLY)
        try:
            _is_dead(handle)
            yield Path(name)
        finally:
            os.close(handle)


@contextlib.contextmanager
def explain_disk_errors(target: Path, temporary: Path | None = None) -> Iterator[None]:
    """Let errors of writing `target` for which a disk is the reason become a `DiskError`.

    It is written by way of `temporary`; what concerns other files goes on as it is.
    """
    try:
        yield
    except Exception as error:
        reason = disk_reason(error, target.parent)
        if reason is None or not _concerns(error, target, temporary):
            raise
        raise DiskError(f"{target} was not written: {reason}, then run again") from None


def _concerns(error: Exception, target: Path, temporary: Path | None) -> bool:
    """Whether an error names no file, one of these, or a folder that they are in."""
    named = error.filename if isinstance(error, OSError) else None
    if not isinstance(named, (str, os.PathLike)):
        return True
    return any(
        path is not None and Path(path).absolute().is_relative_to(Path(named).absolute())
        for path in (target, temporary)
    )


_NUMBER = re.compile(r"\(os error (\d+)\)|errno = (\d+)|^\[Errno (\d+)\]")


def disk_reason(error: BaseException, folder: Path | str = ".") -> str | None:
    """Why the disk did not take what was written to `folder`, and what to do about it.

    None where the error says nothing of the kind. Libraries that are not written in Python give the
    system's error number in their text only.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number is None:
        found = _NUMBER.search(str(error))
        number = int(next(filter(None, found.groups()))) if found else None
    if number in (errno.ENOSPC, errno.EDQUOT):
        what = "the disk is full" if number == errno.ENOSPC else "your quota of the disk is used up"
        return f"{what} ({_free(folder)}); make room there"
    reasons = {
        errno.EFBIG: "it would be larger than a file may be here; raise the limit (ulimit -f), or "
        "write to another file system",
        errno.EROFS: "the disk is read-only; mount it for writing, or work in another folder",
        errno.EIO: "the disk reports an error (input/output error); check it before anything else",
        errno.EACCES: "you may not write there; change the folder's owner or permissions",
        errno.EPERM: "you may not write there; change the folder's owner or permissions",
    }
    return reasons.get(number or 0)


def _free(folder: Path | str) -> str:
    place = Path(folder).resolve()
    while not place.exists():
        place = place.parent
    try:
        found = os.statvfs(place)
    except OSError:
        return f"{place}"
    files = "" if found.f_favail or not found.f_files else " and no further file"
    return f"{found.f_bavail * found.f_frsize / 1e6:,.1f} MB{files} free in {place}"


def write_text(path: Path | str, text: str) -> None:
    """Write `text` as UTF-8, atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: Any) -> None:
    """Write `value` as indented JSON with sorted keys, atomically."""
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def _is_dead(temporary: int) -> bool:
    """Whether nobody holds an open temporary file; from now on this process does.

    False too where the file system cannot lock: what is left there stays.
    """
    try:
        fcntl.flock(temporary, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove_what_was_left(target: Path) -> None:
    named = re.compile(re.escape(f".{target.stem}.") + r"[a-z0-9_]{8}" + re.escape(target.suffix))
    for left in target.parent.iterdir():
        if not named.fullmatch(left.name):
            continue
        with contextlib.suppress(OSError):  # its writer may have just finished it
            handle = os.open(left, os.O_RDONLY)
            try:
                if _is_dead(handle):
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
            finally:
                os.close(handle)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_readable_like_a_new_file(path: Path) -> None:
    """mkstemp gives 0600; a result is as readable as any file that the user makes."""
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(0o666 & ~umask)
