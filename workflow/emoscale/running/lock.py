"""Whether a run is going on: Snakemake's lock says that one began, the processes whether it lives.

Snakemake's lock is a list of files that nobody else may touch; it stays when its run is killed.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

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
    """Snakemake's process numbers in this folder on this machine; none: killed, or elsewhere."""

    def concerns(self, folder: str) -> bool:
        """Whether its run reads or writes anything in `folder`, as the run names it."""
        return any(file.startswith(f"{folder}/") for file in self.files)

    @property
    def alive(self) -> bool:
        """Whether its run is seen on this machine."""
        return bool(self.processes)


def read_lock(folder: Path | str = ".") -> Lock | None:
    """The lock on a working folder, if there is one; nothing is changed."""
    files: set[str] = set()
    times = []
    for path in sorted((Path(folder) / _LOCKS).glob("*.lock")):
        try:
            files.update(path.read_text(encoding="utf-8", errors="replace").splitlines())
            times.append(path.stat().st_mtime)
        except FileNotFoundError:  # its run has just ended
            continue
    if not times:
        return None
    return Lock(frozenset(files), min(times), tuple(_snakemakes_in(Path(folder).resolve())))


def last_logs(folder: Path | str = ".") -> list[Path]:
    """Snakemake's own logs of the folder's runs, the newest first."""
    return sorted((Path(folder) / _LOGS).glob("*.snakemake.log"), reverse=True)


def seconds_since(moment: float) -> float:
    """From a time of the past until now; 0 where the clock was set back."""
    return max(0.0, time.time() - moment)


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
