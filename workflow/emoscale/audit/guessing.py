"""How far a property of a recording, above all its speaker, tells the label without listening."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

PERMUTATIONS = 1999


@dataclass(frozen=True)
class Guess:
    """Guessing each group's most frequent class."""

    unweighted_accuracy: float
    """Mean recall over the classes, 0 to 1, on the very labels that were counted."""

    by_accident: float
    """Its mean where labels are permuted: in few labels a most frequent class fits by accident."""

    p_value: float
    """Share of permutations that are guessed as well."""

    @property
    def excess(self) -> float:
        """How much of the way from what happens by accident to knowing all, 0 to 1."""
        room = 1 - self.by_accident
        return max(0.0, (self.unweighted_accuracy - self.by_accident) / room) if room > 0 else 0.0


def guess_by(column: str, labelled: pl.DataFrame) -> Guess | None:
    """Guess the `label` from `column`; None where all have one value, or values are missing."""
    known = labelled.drop_nulls(column)
    if len(known) < len(labelled) or known[column].n_unique() < 2:
        return None
    groups, labels = _numbers(known[column]), _numbers(known["label"])
    found = _unweighted_accuracy(groups, labels)
    generator = np.random.default_rng(61)
    permuted = np.array(
        [_unweighted_accuracy(groups, generator.permutation(labels)) for _ in range(PERMUTATIONS)]
    )
    as_good = int(np.sum(permuted >= found - 1e-12))
    return Guess(found, float(permuted.mean()), (1 + as_good) / (1 + PERMUTATIONS))


def unweighted_accuracy_of_guessing(column: str, labelled: pl.DataFrame) -> float:
    """UA of guessing the most frequent class of each value of `column`; the first among equals."""
    return _unweighted_accuracy(_numbers(labelled[column]), _numbers(labelled["label"]))


def _numbers(values: pl.Series) -> NDArray[np.int64]:
    """Each value as its place in the sorted list of values."""
    return values.cast(pl.String).rank("dense").to_numpy().astype(np.int64) - 1


def _unweighted_accuracy(groups: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    rows, classes = int(groups.max()) + 1, int(labels.max()) + 1
    counts = np.bincount(groups * classes + labels, minlength=rows * classes)
    counts = counts.reshape(rows, classes)
    guessed = counts.argmax(axis=1)
    right = np.bincount(guessed, counts[np.arange(rows), guessed], classes)
    return float(np.mean(right / counts.sum(axis=0)))
