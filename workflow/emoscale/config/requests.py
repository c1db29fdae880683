"""What a step asks for: time and memory, more at every attempt."""

from __future__ import annotations

import math

LEAST_MINUTES = 10
_MARGIN = 4  # a slower machine, a cold file system, a neighbour on the node
_MOST_MINUTES = 7 * 24 * 60


def minutes(seconds: float, attempt: int = 1, *, shares_a_job: bool = False) -> int:
    """Time limit of a step that is expected to take so long; doubled at every further attempt.

    Where it shares a job, limits are added, so that there is no least one.

    >>> minutes(5), minutes(3600), minutes(3600, attempt=2), minutes(5, shares_a_job=True)
    (11, 250, 500, 1)
    """
    least = 0 if shares_a_job else LEAST_MINUTES
    wanted = least + math.ceil(seconds * _MARGIN / 60)
    return min(wanted * (1 << (attempt - 1)), _MOST_MINUTES)


def megabytes(least: int, attempt: int = 1) -> int:
    """Memory of a step; doubled at every further attempt.

    >>> megabytes(4000), megabytes(4000, attempt=3)
    (4000, 16000)
    """
    return least * (1 << (attempt - 1))
