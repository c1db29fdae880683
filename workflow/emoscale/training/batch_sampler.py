"""Endless batch sampler: batches of utterance indices, shuffled or balanced over classes."""

from __future__ import annotations

import torch
from torch import Tensor


class BatchSampler:
    """Endless sampler of batches without replacement, reshuffled after each pass over the subset.

    Without `classes`, the last batch of a pass may be smaller than the others. With `classes`, the
    classes take turns: each class is shuffled and passed over separately, so that small classes
    are repeated more often and the class counts of a batch differ by at most one. A batch is never
    larger than the subset.

    Parameters
    ----------
    indices : Tensor
        Indices ``[utterances]`` of the training subset.
    generator : torch.Generator
        Generator on the CPU that shuffles.
    classes : Tensor or None
        Class index ``[utterances]`` of each utterance of the subset; None: no class balancing.
    """

    def __init__(
        self, indices: Tensor, generator: torch.Generator, classes: Tensor | None = None
    ) -> None:
        self._generator = generator
        self._indices = indices
        self._pools = [indices]
        if classes is not None:
            self._pools = [indices[classes == label] for label in sorted(set(classes.tolist()))]
        self._queues = [indices[:0] for _ in self._pools]
        self._turn = 0

    def next_batch(self, batch_size: int) -> Tensor:
        """Return the utterance indices of the next batch.

        Parameters
        ----------
        batch_size : int
            Maximum number of utterances.

        Returns
        -------
        Tensor
            Indices ``[batch]``.
        """
        if len(self._pools) == 1:  # the last batch of a pass is not filled up from the next pass
            self._refill(0)
            batch, self._queues[0] = self._queues[0][:batch_size], self._queues[0][batch_size:]
            return batch
        selected = []
        for _ in range(min(batch_size, len(self._indices))):
            pool = self._turn % len(self._pools)
            self._refill(pool)
            selected.append(self._queues[pool][:1])
            self._queues[pool] = self._queues[pool][1:]
            self._turn += 1
        return torch.cat(selected)

    def _refill(self, pool: int) -> None:
        if not len(self._queues[pool]):
            indices = self._pools[pool]
            self._queues[pool] = indices[torch.randperm(len(indices), generator=self._generator)]
