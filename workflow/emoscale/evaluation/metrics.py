"""Unweighted accuracy, accuracy and F1, all from one confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Metrics:
    """How well a set of predictions agrees with the truth; every value from 0 to 1."""

    unweighted_accuracy: float
    """Mean recall over the classes that occur in the truth (UA)."""

    accuracy: float
    """Share of right predictions (WA, weighted accuracy)."""

    macro_f1: float
    """Mean F1 over all classes; 0 for a class that is neither there nor predicted."""

    recalls: tuple[float, ...]
    """Of each class; not a number for a class that does not occur in the truth."""


def confusion_matrix(
    truth: Sequence[int] | NDArray[np.int64],
    predicted: Sequence[int] | NDArray[np.int64],
    classes: int,
) -> NDArray[np.int64]:
    """[classes, classes] counts; rows are the truth, columns the predictions."""
    places = np.asarray(truth, dtype=np.int64) * classes + np.asarray(predicted, dtype=np.int64)
    return np.bincount(places, minlength=classes**2).reshape(classes, classes)


def metrics_of(confusion: NDArray[np.int64]) -> Metrics:
    """The metrics of a confusion matrix (rows: truth)."""
    right = np.diag(confusion).astype(float)
    there, said = confusion.sum(axis=1), confusion.sum(axis=0)
    recalls = np.divide(right, there, out=np.full(len(right), np.nan), where=there > 0)
    f1 = np.divide(2 * right, there + said, out=np.zeros(len(right)), where=there + said > 0)
    return Metrics(
        unweighted_accuracy=float(np.nanmean(recalls)),
        accuracy=float(right.sum() / confusion.sum()),
        macro_f1=float(f1.mean()),
        recalls=tuple(float(recall) for recall in recalls),
    )
