"""Atomic files: each is either written completely or not at all."""

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
    """Write a file atomically: on a clean exit, a temporary file is renamed to `path`.

    The content is on disk (fsync of file and folder) before the rename, so that no reader and no
    killed process leaves or sees a partial file. On an error the temporary file is removed. The
    temporary files of killed processes that wrote the same path are removed first; those of running
    processes are locked and remain.

    Parameters
    ----------
    path : Path or str
        The file to write; its folder is created if necessary.

    Yields
    ------
    Path
        Temporary path in the same folder, to which the content must be written.

    Raises
    ------
    DiskError
        If the disk is the cause of an error; all other errors pass unchanged.
    """
    target = Path(path)
    with explain_disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(target)
        descriptor, name = tempfile.mkstemp(
            prefix=f".{target.stem}.", suffix=target.suffix, dir=target.parent
        )
        try_lock(descriptor)
    temporary = Path(name)
    try:
        with explain_disk_errors(target, temporary):
            yield temporary
            _set_default_permissions(temporary)
            _fsync(temporary)
            os.replace(temporary, target)
            _fsync(target.parent)
    finally:
        os.close(descriptor)
        # If the disk does not allow its removal, the next writer of the path removes it.
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def temporary_folder(path: Path | str) -> Iterator[Path]:
    """Create an empty folder in the same folder as `path` and remove it at the end.

    The temporary folders of killed processes that wrote the same path are removed first.

    Parameters
    ----------
    path : Path or str
        The file or folder whose content will be prepared in the temporary folder.

    Yields
    ------
    Path
        The temporary folder.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(target)
    with tempfile.TemporaryDirectory(
        prefix=f".{target.stem}.", suffix=target.suffix, dir=target.parent
    ) as name:
        descriptor = os.open(name, os.O_RDONLY)
        try:
            try_lock(descriptor)
            yield Path(name)
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def replacement_folder(path: Path | str) -> Iterator[Path]:
    """Prepare a folder that replaces another one, if there is one, on a clean exit.

    Parameters
    ----------
    path : Path or str
        The folder to replace or create.

    Yields
    ------
    Path
        An empty folder with the new content.
    """
    target = Path(path)
    with temporary_folder(target) as temporary:
        replacement = temporary / "replacement"
        replacement.mkdir()
        yield replacement
        if target.exists():
            shutil.rmtree(target)
        replacement.rename(target)


@contextlib.contextmanager
def explain_disk_errors(target: Path, temporary: Path | None = None) -> Iterator[None]:
    """Convert errors of writing a file that the disk causes to a `DiskError`.

    Parameters
    ----------
    target : Path
        The file that is written, for the message.
    temporary : Path or None
        The temporary file with its content.

    Yields
    ------
    None
        Control, to the `with` block.

    Raises
    ------
    DiskError
        If the disk is the cause; errors about other files pass unchanged.
    """
    try:
        yield
    except Exception as error:
        reason = disk_error_message(error, target.parent)
        if reason is None or not _concerns(error, target, temporary):
            raise
        raise DiskError(f"{target} was not written: {reason}, then run again") from None


def _concerns(error: Exception, target: Path, temporary: Path | None) -> bool:
    """Whether an error names no file, one of these two files, or a folder that contains them."""
    filename = error.filename if isinstance(error, OSError) else None
    if not isinstance(filename, (str, os.PathLike)):
        return True
    return any(
        path is not None and Path(path).absolute().is_relative_to(Path(filename).absolute())
        for path in (target, temporary)
    )


_ERROR_NUMBER = re.compile(r"\(os error (\d+)\)|errno = (\d+)|^\[Errno (\d+)\]")


def disk_error_message(error: BaseException, folder: Path | str = ".") -> str | None:
    """Return why a disk could not store a file and what to do about it.

    Parameters
    ----------
    error : BaseException
        The error of writing. Libraries that are not written in Python state the system's error
        number in the message only; it is read from there.
    folder : Path or str
        The folder that was written to.

    Returns
    -------
    str or None
        Reason and remedy; None if the disk is not the cause of the error.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number is None:
        match = _ERROR_NUMBER.search(str(error))
        number = int(next(filter(None, match.groups()))) if match else None
    if number in (errno.ENOSPC, errno.EDQUOT):
        problem = "the disk is full" if number == errno.ENOSPC else "your disk quota is used up"
        return f"{problem} ({_free_space(folder)}); free some space there"
    not_permitted = "writing there is not permitted; change the folder's owner or permissions"
    messages = {
        errno.EFBIG: "the file would exceed the limit on file sizes; raise the limit (ulimit -f), "
        "or write to another file system",
        errno.EROFS: "the disk is read-only; mount it for writing, or use another folder",
        errno.EIO: "the disk reports an input/output error; check the disk first",
        errno.EACCES: not_permitted,
        errno.EPERM: not_permitted,
    }
    return messages.get(number or 0)


def _free_space(folder: Path | str) -> str:
    """Free space of the file system that holds a folder, which need not exist."""
    existing = Path(folder).resolve()
    while not existing.exists():
        existing = existing.parent
    try:
        status = os.statvfs(existing)
    except OSError:
        return f"{existing}"
    files = "" if status.f_favail or not status.f_files else " and no further file"
    return f"{status.f_bavail * status.f_frsize / 1e6:,.1f} MB{files} free in {existing}"


def write_text(path: Path | str, text: str) -> None:
    """Write a text file as UTF-8, atomically.

    Parameters
    ----------
    path : Path or str
        The file to write.
    text : str
        Its content.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path | str, value: Any) -> None:
    """Write a value as indented JSON with sorted keys, atomically.

    Parameters
    ----------
    path : Path or str
        The file to write.
    value : Any
        A value that JSON can represent.
    """
    write_text(path, json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def try_lock(descriptor: int) -> bool:
    """Lock an open file until it is closed, or the process ends.

    Parameters
    ----------
    descriptor : int
        File descriptor.

    Returns
    -------
    bool
        False if another process holds the lock, or the file system has no locks.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove_abandoned(target: Path) -> None:
    """Remove the temporary files and folders of killed processes that wrote `target`."""
    pattern = re.compile(re.escape(f".{target.stem}.") + r"[a-z0-9_]{8}" + re.escape(target.suffix))
    for path in target.parent.iterdir():
        if not pattern.fullmatch(path.name):
            continue
        with contextlib.suppress(OSError):  # another process may have renamed it just now
            descriptor = os.open(path, os.O_RDONLY)
            try:
                if try_lock(descriptor):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            finally:
                os.close(descriptor)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _set_default_permissions(path: Path) -> None:
    """Set the permissions of any new file; mkstemp sets 0600."""
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(0o666 & ~umask)
