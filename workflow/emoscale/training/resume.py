"""What a killed job leaves behind, so that the next one goes on and ends with the same numbers."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from emoscale.runtime.files import atomic_path

State = tuple[dict[str, Tensor], dict[str, Any]]
"""Tensors by name, and values that JSON can hold."""


class ResumeFile:
    """Keeps the state of one job in one file, which is gone when the job is done.

    `identity` says what the state belongs to (settings, code, features, versions, device): what was
    left by another job is not taken up.
    """

    def __init__(self, path: Path, identity: str, seconds_between_saves: float = 20.0) -> None:
        self._path, self._identity = path, identity
        self._seconds = seconds_between_saves  # a short training is done again sooner than saved
        self._saved = time.monotonic()
        self._remembered: State | None = None

    def load(self) -> State | None:
        """What an equal job left; None where there is nothing, or nothing that can be used."""
        if not self._path.exists():
            return None
        try:
            with safe_open(self._path, framework="pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("identity") != self._identity:
                    return None
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                return tensors, json.loads(metadata["values"])
        except (SafetensorError, OSError, ValueError, KeyError):
            return None  # a damaged remainder: the job begins anew, which costs time only

    @contextlib.contextmanager
    def kept_at_the_end(self) -> Iterator[None]:
        """Within, a request to end (SIGTERM: preemption, a time limit) saves what is remembered.

        Then the program ends as such a request ends programs, with exit status 143.
        """
        if threading.current_thread() is not threading.main_thread():  # which alone hears signals
            yield
            return
        before = signal.signal(signal.SIGTERM, self._end)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)
            self._remembered = None

    def remember(self, state: State) -> None:
        """What to save should the program be asked to end; nothing of it may change any more."""
        self._remembered = state

    def _end(self, number: int, frame: FrameType | None) -> None:
        if self._remembered is not None:
            self.save(self._remembered)
            print(f"asked to end: what was done is kept in {self._path}", file=sys.stderr)
        raise SystemExit(128 + number)

    def due(self) -> bool:
        """Whether enough time went by since the last save."""
        return time.monotonic() - self._saved >= self._seconds

    def save(self, state: State) -> None:
        """Replace what is kept, atomically."""
        tensors, values = state
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(self._path) as temporary:
            save_file(
                {name: value.contiguous() for name, value in tensors.items()},
                temporary,
                metadata={"identity": self._identity, "values": json.dumps(values)},
            )
        self._saved = time.monotonic()

    def remove(self) -> None:
        """Forget it: the job is done."""
        self._path.unlink(missing_ok=True)
