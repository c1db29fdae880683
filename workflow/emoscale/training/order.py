"""In which order a training meets its utterances."""

from __future__ import annotations

import torch
from torch import Tensor


class Order:
    """Endless batches of indices; of a training subset that is smaller than a batch, all of it.

    Shuffled anew after each pass over the subset. With `classes` (of each utterance of the subset)
    the classes take turns instead: each is passed over by itself, those of few utterances more
    often, and a batch holds as many of each as can be.
    """

    def __init__(
        self, indices: Tensor, generator: torch.Generator, classes: Tensor | None = None
    ) -> None:
        self._generator = generator
        self._places = indices
        self._pools = [indices]
        if classes is not None:
            self._pools = [indices[classes == label] for label in sorted(set(classes.tolist()))]
        self._queues = [indices[:0] for _ in self._pools]
        self._turn = 0

    def next(self, count: int) -> Tensor:
        """The indices [count or fewer] of the next batch."""
        if len(self._pools) == 1:  # a pass ends with a smaller batch
            self._refill(0)
            batch, self._queues[0] = self._queues[0][:count], self._queues[0][count:]
            return batch
        drawn = []
        for _ in range(min(count, len(self._places))):
            pool = self._turn % len(self._pools)
            self._refill(pool)
            drawn.append(self._queues[pool][:1])
            self._queues[pool] = self._queues[pool][1:]
            self._turn += 1
        return torch.cat(drawn)

    def _refill(self, pool: int) -> None:
        if not len(self._queues[pool]):
            own = self._pools[pool]
            self._queues[pool] = own[torch.randperm(len(own), generator=self._generator)]
