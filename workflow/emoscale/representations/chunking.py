"""Overlapping chunks of utterances that are too long for a network."""

from __future__ import annotations

import itertools
from dataclasses import dataclass


@dataclass(frozen=True)
class Chunk:
    """A part of an utterance's frames (or tokens) that is computed separately.

    All ends are exclusive.
    """

    start: int
    """First frame of the network's input."""

    stop: int
    """End of the network's input."""

    first: int
    """First frame whose output is used."""

    last: int
    """End of the frames whose output is used."""


def half_overlapping_chunks(length: int, max_length: int) -> list[Chunk]:
    """Split an utterance into chunks that overlap by half or more.

    The output of each frame is taken from the chunk whose centre is nearest, so that there is
    context on both sides. The last chunk ends at the end of the utterance.

    Parameters
    ----------
    length : int
        Number of frames of the utterance.
    max_length : int
        Maximum number of frames per chunk.

    Returns
    -------
    list of Chunk
        Chunks in temporal order; a single one if the utterance is not longer than `max_length`.

    Examples
    --------
    >>> half_overlapping_chunks(6, 8)
    [Chunk(start=0, stop=6, first=0, last=6)]
    >>> for chunk in half_overlapping_chunks(11, 4):
    ...     print(chunk)
    Chunk(start=0, stop=4, first=0, last=3)
    Chunk(start=2, stop=6, first=3, last=5)
    Chunk(start=4, stop=8, first=5, last=7)
    Chunk(start=6, stop=10, first=7, last=9)
    Chunk(start=7, stop=11, first=9, last=11)
    """
    if length <= max_length:
        return [Chunk(0, length, 0, length)]
    step = max(1, max_length // 2)
    starts = [*range(0, length - max_length, step), length - max_length]
    # Half-way between the centres of adjacent chunks; a tie goes to the earlier chunk.
    boundaries = [
        (previous + following + max_length - 1) // 2 + 1
        for previous, following in itertools.pairwise(starts)
    ]
    return [
        Chunk(start, start + max_length, first, last)
        for start, first, last in zip(starts, [0, *boundaries], [*boundaries, length], strict=True)
    ]
