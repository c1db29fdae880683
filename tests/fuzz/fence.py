"""Sees whatever a process writes outside of one folder, and every program that it starts."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_PROGRAMS = frozenset(["subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn"])
_PLACES = {
    "os.mkdir": (0,),
    "os.rename": (0, 1),
    "os.remove": (0,),
    "os.rmdir": (0,),
    "os.symlink": (1,),
    "os.link": (1,),
    "os.truncate": (0,),
    "os.chmod": (0,),
}


class Fence:
    """Notes what Python itself does (an audit hook), and what stands in `outside` afterwards.

    The folder around the allowed one is compared too, since libraries in C are not heard.
    """

    def __init__(self, inside: Path) -> None:
        self._inside = str(inside.resolve())
        self._around = inside.resolve().parent
        self._seen: list[str] = []
        self._before: list[str] = []
        self._watching = False
        sys.addaudithook(self._hear)

    def start(self) -> None:
        """Watch from here."""
        self._seen.clear()
        self._before = self._listing()
        self._watching = True

    def stop(self) -> list[str]:
        """What was written elsewhere or started since `start`."""
        self._watching = False
        new = sorted(set(self._listing()) ^ set(self._before))
        return [*self._seen, *(f"changed {name}" for name in new)]

    def _listing(self) -> list[str]:
        listed = []
        for path in sorted(self._around.rglob("*")):
            if not f"{path}/".startswith(f"{self._inside}/"):
                status = path.lstat()
                size = 0 if path.is_dir() else status.st_size
                listed.append(f"{path} {size} {0 if path.is_dir() else status.st_mtime_ns}")
        return listed

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._watching:
            return
        if event == "open":
            path, _, flags = arguments
            if isinstance(flags, int) and flags & _WRITES:
                self._check("opened", path)
        elif event in _PROGRAMS:
            self._seen.append(f"started {arguments[0]}")
        elif event in _PLACES:
            for place in _PLACES[event]:
                self._check(event, arguments[place])

    def _check(self, what: str, path: Any) -> None:
        if isinstance(path, (str, bytes, os.PathLike)):
            name = os.path.realpath(os.fsdecode(path))
            if not f"{name}/".startswith(f"{self._inside}/") and name != "/dev/null":
                self._seen.append(f"{what} {name}")
