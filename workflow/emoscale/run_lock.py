"""The lock of a run on its working folder, with who holds it: what a killed run left is taken over.

Snakemake's own lock lists the files of a run and stays when the run is killed; whoever comes next
is refused until somebody unlocks by hand. Here the lock's first line says which process took it, so
that a dead one is told from one that works. No advisory lock of the file system is needed.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_FIRST_LINE = "emoscale run "
_TURN = "taken"
_TURN_SECONDS = 30.0

# What is used of Snakemake's inside. Where a version lacks any of it, its own lock counts, and the
# lock of a killed run is ended with `snakemake --unlock`.
_USED = ("lock", "locked", "all_inputfiles", "all_outputfiles", "cleanup_locks", "unlock")
_USED_OF_FILES = ("_read_locks", "_write_locks", "_delete_locks")


@dataclass(frozen=True)
class Owner:
    """The process that holds a lock."""

    host: str
    boot: str
    """One start of one machine, and the processes that see each other on it."""

    process: int
    started: str
    """When the process began, as the machine counts; another one of this number began later."""

    @property
    def here(self) -> bool:
        """Whether it ran on this machine, so that it can be seen whether it lives."""
        return self.host == socket.gethostname()

    @property
    def dead(self) -> bool:
        """Whether it surely runs no more; False where that cannot be seen from here."""
        if not self.here:
            return False
        if self.boot != _boot():
            # Another start of this machine; or a container that sees other processes.
            return self.boot.split()[:1] != _boot().split()[:1]
        return _started(self.process) != self.started


@dataclass(frozen=True)
class LockFile:
    """One file of a lock."""

    path: Path
    files: frozenset[str]
    """What its run reads or writes."""

    owner: Owner | None
    """None: something else than emoscale wrote it."""

    since: float
    """Seconds since 1970."""


def locks_in(folder: Path | str) -> list[LockFile]:
    """The lock files in a folder such as `.snakemake/locks`, those of dead runs among them."""
    found = []
    for path in sorted(Path(folder).glob("*put.lock")):
        try:
            lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
            since = path.stat().st_mtime
        except FileNotFoundError:  # its run has just ended
            continue
        owner = _owner_of(lines[0]) if lines else None
        found.append(LockFile(path, frozenset(lines[owner is not None :]), owner, since))
    return found


def install_run_lock() -> bool:
    """Let Snakemake's lock say who holds it, and end what a dead process holds.

    False where this version of Snakemake is not one that it is known to work with.
    """
    from snakemake.logging import logger
    from snakemake.persistence import PersistenceBase
    from snakemake.persistence.file import FilePersistence as Persistence

    if getattr(Persistence.lock, "names_its_owner", False):
        return True
    if not (
        all(hasattr(PersistenceBase, name) for name in _USED)
        and all(hasattr(Persistence, name) for name in _USED_OF_FILES)
    ):
        logger.warning(
            "This version of Snakemake is another than the pinned one: after a run was killed, "
            "unlock with: snakemake --unlock"
        )
        return False
    delete_all = Persistence._delete_locks
    lock = contextlib.contextmanager(_lock)
    lock.names_its_owner = True  # type: ignore[attr-defined]
    Persistence.lock = lock
    Persistence._read_locks = _read_living
    Persistence._delete_locks = _delete_own
    Persistence.cleanup_locks = delete_all
    return True


def _lock(records: Any) -> Iterator[None]:
    """Hold the lock; raises Snakemake's `WorkflowError` where another run has it."""
    from snakemake.exceptions import WorkflowError

    folder = Path(records._lockdir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _turn(folder / _TURN):
            _take_over(folder)
            if records.locked:
                raise WorkflowError(_refusal(folder))
            first = _FIRST_LINE + json.dumps(asdict(_myself()))
            for kind in ("input", "output"):
                files = records.all_inputfiles() if kind == "input" else records.all_outputfiles()
                records._write_locks(kind, [first, *map(str, files)])
    except OSError as error:
        _delete_own(records)
        raise WorkflowError(
            f"{folder} cannot be written ({error.strerror}); mend that and run again"
        ) from None
    try:
        yield
    finally:
        records.unlock()


def _take_over(folder: Path) -> None:
    """End what dead processes hold."""
    from snakemake.logging import logger

    killed = set()
    for lock in locks_in(folder):
        if lock.owner is not None and lock.owner.dead:
            killed.add(lock.owner.process)
            lock.path.unlink(missing_ok=True)
    for process in sorted(killed):
        logger.info(f"A run (process {process}) was ended before it was done; this one goes on.")


def _read_living(records: Any) -> Iterable[tuple[str, str]]:
    for lock in locks_in(records._lockdir):
        if lock.owner is None or not lock.owner.dead:
            kind = lock.path.name.split(".")[1]
            yield from ((kind, file) for file in lock.files)


def _delete_own(records: Any) -> None:
    for path in records._lockfile.values():
        Path(path).unlink(missing_ok=True)
    records._lockfile.clear()


def _refusal(folder: Path) -> str:
    """Who holds the lock, and what to do."""
    locks = [lock for lock in locks_in(folder) if lock.files]
    here = [lock for lock in locks if lock.owner is not None and lock.owner.here]
    for lock in here or locks:
        since = time.strftime("%d %B %H:%M", time.localtime(lock.since))
        if lock.owner is not None and lock.owner.boot == _boot() and lock.owner.here:
            return (
                f"another run works on these files already (process {lock.owner.process}, since "
                f"{since}); wait until it is done, or stop it: kill {lock.owner.process}"
            )
        who = "another program" if lock.owner is None else f"a run on {lock.owner.host}"
        return (
            f"{who} holds the lock on these files since {since} ({lock.path}), and whether it "
            "still works cannot be seen from here; if it does not, unlock and run again: "
            "snakemake --unlock"
        )
    return "another run works on these files; run again"


@contextlib.contextmanager
def _turn(path: Path) -> Iterator[None]:
    """One process at a time looks at the locks and adds its own; raises `OSError`.

    A file that only one can create, so that it also holds where a file system has no locks.
    """
    deadline = time.monotonic() + _TURN_SECONDS
    while True:
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
            break
        except FileExistsError:
            _end_old_turn(path, time.monotonic() > deadline)
            time.sleep(0.05)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(_FIRST_LINE + json.dumps(asdict(_myself())))
        yield
    finally:
        path.unlink(missing_ok=True)


def _end_old_turn(path: Path, late: bool) -> None:
    """Remove the file of one that was killed within its turn; of an unknown one when it is late."""
    try:
        owner = _owner_of(path.read_text(encoding="utf-8", errors="replace"))
    except FileNotFoundError:
        return
    if late or (owner is not None and owner.dead):
        path.unlink(missing_ok=True)


def _owner_of(line: str) -> Owner | None:
    if not line.startswith(_FIRST_LINE):
        return None
    try:
        return Owner(**json.loads(line[len(_FIRST_LINE) :]))
    except (ValueError, TypeError):  # cut off when its run was killed, or another version's
        return None


def _myself() -> Owner:
    process = os.getpid()
    return Owner(socket.gethostname(), _boot(), process, _started(process))


def _boot() -> str:
    """The machine's start, and the space in which its process numbers count, where it is Linux."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _started(process: int) -> str:
    """When a process began; empty where there is none."""
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return _exists(process) if not Path("/proc/self").exists() else ""
    words = status.rpartition(")")[2].split()  # the name before may hold anything
    return "" if words[0] in "ZX" else words[19]


def _exists(process: int) -> str:
    """Without Linux's /proc, only whether there is a process of this number is known."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "there"
