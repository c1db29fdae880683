"""What is fuzzed: a valid input, a way to damage it, and the code that reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random


@dataclass(frozen=True)
class Kind:
    """One kind of input that others give us."""

    name: str

    make: Callable[[Path], None]
    """Writes valid inputs to a folder; done once."""

    change: Callable[[Path, Random], None]
    """Damages a copy of that folder."""

    read: Callable[[Path], None]
    """Reads it as the programs do; may raise `UserError`."""
