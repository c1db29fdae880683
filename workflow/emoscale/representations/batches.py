"""Which utterances are computed together."""

from __future__ import annotations

from collections.abc import Sequence


def plan_batches(seconds: Sequence[float], batch_seconds: float) -> list[list[int]]:
    """Places of utterances, batch by batch: the longest first, neighbours of similar length.

    A batch has as many utterances as fit in `batch_seconds` when each counts as its longest (which
    they are padded to), and at least one. The largest batch comes first, so that too little memory
    shows at once and not at the end.

    >>> plan_batches([1.0, 5.0, 2.0, 4.5, 2.0], batch_seconds=10.0)
    [[1, 3], [2, 4, 0]]
    >>> plan_batches([1.0, 5.0], batch_seconds=0.0)
    [[1], [0]]
    """
    batches: list[list[int]] = []
    for place in sorted(range(len(seconds)), key=lambda place: (-seconds[place], place)):
        room = batches and (len(batches[-1]) + 1) * seconds[batches[-1][0]] <= batch_seconds
        if room:
            batches[-1].append(place)
        else:
            batches.append([place])
    return batches
