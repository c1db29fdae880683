"""What a killed job leaves behind, so that the next one goes on and ends with the same numbers."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from emoscale.files import atomic_path

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
