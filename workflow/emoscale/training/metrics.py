"""Unweighted accuracy, accuracy and F1, all from confusion matrices; calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


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
    indices = np.asarray(truth, dtype=np.int64) * classes + np.asarray(predicted, dtype=np.int64)
    return np.bincount(indices, minlength=classes**2).reshape(classes, classes)


def unweighted_accuracies(confusions: Floats) -> Floats:
    """UA of each of [..., classes, classes] counts: mean recall over the classes that are there."""
    right = np.diagonal(confusions, axis1=-2, axis2=-1)
    return _mean_there(ratio(right, confusions.sum(axis=-1)))


def accuracies(confusions: Floats) -> Floats:
    """Accuracy (WA) of each of [..., classes, classes] counts."""
    right = np.diagonal(confusions, axis1=-2, axis2=-1).sum(axis=-1)
    return ratio(right, confusions.sum(axis=(-2, -1)))


def macro_f1s(confusions: Floats) -> Floats:
    """Macro-F1 of each of [..., classes, classes] counts: mean over all classes.

    A class that is neither there nor predicted counts as 0, as in scikit-learn's `f1_score` with
    `labels` and `zero_division=0`.
    """
    right = np.diagonal(confusions, axis1=-2, axis2=-1)
    counted = confusions.sum(axis=-1) + confusions.sum(axis=-2)
    found: Floats = np.nan_to_num(ratio(2 * right, counted)).mean(axis=-1)
    return found


def ratio(part: Floats, whole: Floats) -> Floats:
    """part / whole, not a number where there is nothing."""
    part, whole = np.broadcast_arrays(part, whole)
    found: Floats = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return found


def _mean_there(values: Floats) -> Floats:
    """Mean over the last axis of what is a number."""
    there = ~np.isnan(values)
    return ratio(np.where(there, values, 0.0).sum(axis=-1), there.sum(axis=-1).astype(float))


def expected_calibration_error(top: Floats, right: NDArray[np.bool_], bins: int = 15) -> float:
    """Mean distance between the share of right answers and the probability that was claimed.

    `top` [utterances] is the highest probability, `right` whether its class is the true one. Over
    `bins` of equal width, (0, 1/15], (1/15, 2/15] …, weighted by their utterances (Guo et al., "On
    Calibration of Modern Neural Networks", 2017, eq. 3).
    """
    index = np.clip(np.ceil(top * bins).astype(int) - 1, 0, bins - 1)
    claimed = np.bincount(index, weights=top, minlength=bins)
    found = np.bincount(index, weights=right.astype(float), minlength=bins)
    return float(np.abs(claimed - found).sum() / len(top))


def brier_score(probabilities: Floats, truth: NDArray[np.int64]) -> float:
    """Mean over utterances of the squared distance to the truth, summed over classes; 0 to 2.

    `probabilities` [utterances, classes], `truth` [utterances] (Brier, "Verification of Forecasts
    Expressed in Terms of Probability", 1950, eq. 2).
    """
    wanted = np.eye(probabilities.shape[1])[truth]
    return float(((probabilities - wanted) ** 2).sum(axis=1).mean())


def metrics_of(confusion: NDArray[np.int64]) -> Metrics:
    """The metrics of a confusion matrix (rows: truth)."""
    counts = confusion.astype(float)
    return Metrics(
        unweighted_accuracy=float(unweighted_accuracies(counts)),
        accuracy=float(accuracies(counts)),
        macro_f1=float(macro_f1s(counts)),
        recalls=tuple(ratio(np.diag(counts), counts.sum(axis=1)).tolist()),
    )
