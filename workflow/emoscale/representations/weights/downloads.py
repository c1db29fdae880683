"""Files at an address: downloaded once into a cache, and checked whenever they are used."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import sys
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path

from emoscale.config.checkpoints import DownloadedFile
from emoscale.representations.weights.origin import Weights
from emoscale.representations.weights.transfer import InterruptedTransferError, receive
from emoscale.runtime.errors import CheckpointError
from emoscale.runtime.files import write_text
from emoscale.runtime.provenance import file_sha256

PAUSES_SECONDS = (1.0, 5.0, 15.0, 30.0)
"""Between one try and the next; the connection may come back."""

TIMEOUT_SECONDS = 30.0
"""How long a server may be silent."""


def cached_path(url: str, cache: Path) -> Path:
    """Where the file at `url` lies in `cache`: a folder an address, and the file's own name.

    >>> cached_path("https://example.org/models/wav2vec_large.pt?download=1", Path("/cache"))
    PosixPath('/cache/ae2d68dee2a1417b/wav2vec_large.pt')
    """
    last = urllib.parse.unquote(urllib.parse.urlsplit(url).path.rpartition("/")[2])
    name = re.sub(r"[^A-Za-z0-9._-]", "_", last).lstrip(".")[-100:] or "weights"
    return cache.absolute() / hashlib.sha256(url.encode()).hexdigest()[:16] / name


def is_fetched(settings: DownloadedFile, cache: Path) -> bool:
    """Whether the file is in `cache` with the digest that it is held to."""
    path = cached_path(settings.url, cache)
    return path.is_file() and (settings.sha256 is not None or _record_of(path).is_file())


def fetch_file(
    settings: DownloadedFile,
    cache: Path,
    offline: bool = False,
    pauses_seconds: Sequence[float] = PAUSES_SECONDS,
    timeout_seconds: float = TIMEOUT_SECONDS,
) -> Weights:
    """The file at an address, from `cache` where it is there, otherwise downloaded into it.

    Its digest must be the configuration's, or without one that of the first download. Of several
    processes that want one file, one downloads it and the others wait. Raises `CheckpointError`.
    """
    path = cached_path(settings.url, cache)
    try:
        if not path.is_file():
            if offline:
                raise CheckpointError(
                    f"{settings.url} is not in the cache and nothing is downloaded offline; put "
                    f"the file at {path}, or run without offline"
                )
            path.parent.mkdir(parents=True, exist_ok=True)
            with _alone(path):
                if not path.is_file():
                    _download(settings, path, pauses_seconds, timeout_seconds)
        sha256 = _checked(settings, path)
    except OSError as error:
        raise CheckpointError(
            f"{error.filename or path}: {error.strerror or error}; the cache needs room and the "
            "right to write: mend that or name another, and run again"
        ) from None
    return Weights(path, sha256, f"{path.name}, sha256 {sha256[:8]}…")


def _download(
    settings: DownloadedFile, path: Path, pauses_seconds: Sequence[float], timeout_seconds: float
) -> None:
    part = path.with_name(path.name + ".part")
    wanted = _wanted(settings, path)
    for pause in (*pauses_seconds, None):
        try:
            receive(settings.url, part, timeout_seconds, needs_length=wanted is None)
            break
        except InterruptedTransferError as interruption:
            if pause is None:
                raise CheckpointError(
                    f"{settings.url} could not be downloaded in {len(pauses_seconds) + 1} tries "
                    f"({interruption}); run again to go on from what is there, or put the file "
                    f"at {path}"
                ) from None
            print(
                f"{path.name}: {interruption}; trying again in {pause:g} s",
                file=sys.stderr,
                flush=True,
            )
            time.sleep(pause)
    found = file_sha256(part)
    if wanted not in (None, found):
        part.unlink()
        raise CheckpointError(_another_file(settings, path, str(wanted), found))
    with part.open("rb") as file:
        os.fsync(file.fileno())
    os.replace(part, path)
    write_text(_record_of(path), found + "\n")


def _another_file(settings: DownloadedFile, path: Path, wanted: str, found: str) -> str:
    if settings.sha256:
        return (
            f"{settings.url} gave a file of sha256 {found}, not {wanted} as the configuration "
            "says; it is removed: mend sha256 where the file is right, or run again"
        )
    return (
        f"{settings.url} gave a file of sha256 {found}, not {wanted} as at the first download; it "
        f"is removed: where the new file is right, remove {_record_of(path)} and run again"
    )


def _checked(settings: DownloadedFile, path: Path) -> str:
    """The digest of the file in the cache, which is the one that is wanted."""
    found = file_sha256(path)
    wanted = _wanted(settings, path)
    if wanted is None:  # put there by hand
        write_text(_record_of(path), found + "\n")
    elif found != wanted:
        says = "the configuration says" if settings.sha256 else "at the first download"
        raise CheckpointError(
            f"{path} has sha256 {found}, not {wanted} as {says}: it is damaged or was changed; "
            f"remove it and run again to download {settings.url}"
        )
    return found


def _wanted(settings: DownloadedFile, path: Path) -> str | None:
    if settings.sha256:
        return settings.sha256
    record = _record_of(path)
    return record.read_text(encoding="utf-8").strip() if record.is_file() else None


def _record_of(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait until no other process downloads `path`."""
    with path.with_name(path.name + ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(
                f"{path.name}: another process downloads it; waiting", file=sys.stderr, flush=True
            )
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield
