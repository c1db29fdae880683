"""Whether a run is going on, as far as it can be seen from this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emoscale.run_lock import LockFile, locks_in

_LOCKS = Path(".snakemake") / "locks"
_LOGS = Path(".snakemake") / "log"


@dataclass(frozen=True)
class Lock:
    """The lock on the working folder."""

    files: frozenset[str]
    """That its run reads or writes."""

    since: float
    """When it was taken, seconds since 1970."""

    processes: tuple[int, ...]
    """Snakemake's process numbers in this folder on this machine; none: it is elsewhere."""

    hosts: tuple[str, ...] = ()
    """Other machines that its processes are on, as far as the lock names them."""

    def concerns(self, folder: str) -> bool:
        """Whether its run reads or writes anything in `folder`, as the run names it."""
        return any(file.startswith(f"{folder}/") for file in self.files)

    @property
    def elsewhere(self) -> str:
        """' on …', where the lock names other machines."""
        return f" on {', '.join(self.hosts)}" if self.hosts else ""

    @property
    def alive(self) -> bool:
        """Whether its run is seen on this machine."""
        return bool(self.processes)


def read_lock(folder: Path | str = ".") -> Lock | None:
    """The lock on a working folder, if there is one; nothing is changed.

    What a killed run of this machine left is no lock: the next run takes it over.
    """
    locks = [
        lock
        for lock in locks_in(Path(folder) / _LOCKS)
        if lock.owner is None or not lock.owner.dead
    ]
    if not locks:
        return None
    return Lock(
        frozenset().union(*(lock.files for lock in locks)),
        min(lock.since for lock in locks),
        tuple(_processes_of(locks, Path(folder).resolve())),
        tuple(sorted({lock.owner.host for lock in locks if lock.owner and not lock.owner.here})),
    )


def last_logs(folder: Path | str = ".") -> list[Path]:
    """Snakemake's own logs of the folder's runs, the newest first."""
    return sorted((Path(folder) / _LOGS).glob("*.snakemake.log"), reverse=True)


def seconds_since(moment: float) -> float:
    """From a time of the past until now; 0 where the clock was set back."""
    return max(0.0, time.time() - moment)


def _processes_of(locks: Sequence[LockFile], folder: Path) -> list[int]:
    """Those that the locks name; for a lock that names none, all of Snakemake in the folder."""
    named = {lock.owner.process for lock in locks if lock.owner and lock.owner.here}
    unnamed = any(lock.owner is None for lock in locks)
    return sorted(named | set(_snakemakes_in(folder) if unnamed else ()))


def _snakemakes_in(folder: Path) -> list[int]:
    """Processes of Snakemake that work in `folder`, as far as this user may see."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().split(b"\0")
            place = (process / "cwd").readlink()
        except OSError:  # it has ended, or is another user's
            continue
        programs = {Path(os.fsdecode(word)).name for word in words[:3]}
        if place == folder and "snakemake" in programs and b"--dry-run" not in words:
            found.append(int(process.name))
    return sorted(found)
