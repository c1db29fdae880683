"""Where an utterance is too long for a model: the parts that it is computed in."""

from __future__ import annotations

import itertools
from dataclasses import dataclass


@dataclass(frozen=True)
class Window:
    """A part of an utterance's frames (or tokens): what is computed, and what is kept of it."""

    start: int
    """First frame that the model sees."""

    stop: int
    """One after the last that it sees."""

    first: int
    """First frame that is kept."""

    last: int
    """One after the last that is kept."""


def half_overlapping_windows(length: int, longest: int) -> list[Window]:
    """Windows of `longest` frames over `length`, each overlapping the one before by half or more.

    Each frame is kept from the window in whose middle it lies most nearly, so that it has context
    on both sides. The last window ends where the utterance does.

    >>> half_overlapping_windows(6, 8)
    [Window(start=0, stop=6, first=0, last=6)]
    >>> for window in half_overlapping_windows(11, 4):
    ...     print(window)
    Window(start=0, stop=4, first=0, last=3)
    Window(start=2, stop=6, first=3, last=5)
    Window(start=4, stop=8, first=5, last=7)
    Window(start=6, stop=10, first=7, last=9)
    Window(start=7, stop=11, first=9, last=11)
    """
    if length <= longest:
        return [Window(0, length, 0, length)]
    step = max(1, longest // 2)
    starts = [*range(0, length - longest, step), length - longest]
    # Half-way between the middles of two neighbours; a tie goes to the earlier.
    bounds = [
        (before + after + longest - 1) // 2 + 1 for before, after in itertools.pairwise(starts)
    ]
    return [
        Window(start, start + longest, first, last)
        for start, first, last in zip(starts, [0, *bounds], [*bounds, length], strict=True)
    ]
