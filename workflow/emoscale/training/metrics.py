"""Unweighted accuracy, accuracy and F1 from confusion matrices, and calibration metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Metrics:
    """Metrics of a set of predictions; every value is between 0 and 1."""

    unweighted_accuracy: float
    """Unweighted accuracy (UA): mean recall over the classes that occur in the truth."""

    accuracy: float
    """Fraction of correct predictions, also called weighted accuracy (WA)."""

    macro_f1: float
    """Mean F1 over all classes; 0 for a class that neither occurs nor is predicted."""

    recalls: tuple[float, ...]
    """Recall of each class; NaN for a class that does not occur in the truth."""


def confusion_matrix(
    truth: Sequence[int] | NDArray[np.int64],
    predicted: Sequence[int] | NDArray[np.int64],
    classes: int,
) -> NDArray[np.int64]:
    """Compute a confusion matrix.

    Parameters
    ----------
    truth : sequence of int or ndarray
        True class indices ``[utterances]``.
    predicted : sequence of int or ndarray
        Predicted class indices ``[utterances]``.
    classes : int
        Number of classes.

    Returns
    -------
    ndarray
        Counts ``[classes, classes]``; rows are the truth, columns the predictions.
    """
    indices = np.asarray(truth, dtype=np.int64) * classes + np.asarray(predicted, dtype=np.int64)
    return np.bincount(indices, minlength=classes**2).reshape(classes, classes)


def unweighted_accuracies(confusions: Floats) -> Floats:
    """Compute the unweighted accuracy (UA): mean recall over the classes that occur.

    Parameters
    ----------
    confusions : ndarray
        Confusion matrices ``[..., classes, classes]``; rows are the truth.

    Returns
    -------
    ndarray
        UA ``[...]``; NaN where there are no counts.
    """
    correct = np.diagonal(confusions, axis1=-2, axis2=-1)
    return mean_recall(correct, confusions.sum(axis=-1))


def mean_recall(correct: Floats, support: Floats) -> Floats:
    """Compute the unweighted accuracy (UA) from counts by class.

    Parameters
    ----------
    correct : ndarray
        Numbers of correct predictions ``[..., classes]``.
    support : ndarray
        Numbers of utterances of the class ``[..., classes]``, broadcast to `correct`.

    Returns
    -------
    ndarray
        UA ``[...]`` over the classes that occur; NaN where there are no counts.
    """
    return _nan_mean(ratio(correct, support))


def accuracies(confusions: Floats) -> Floats:
    """Compute the accuracy (weighted accuracy, WA).

    Parameters
    ----------
    confusions : ndarray
        Confusion matrices ``[..., classes, classes]``; rows are the truth.

    Returns
    -------
    ndarray
        Accuracy ``[...]``; NaN where there are no counts.
    """
    correct = np.diagonal(confusions, axis1=-2, axis2=-1).sum(axis=-1)
    return ratio(correct, confusions.sum(axis=(-2, -1)))


def macro_f1s(confusions: Floats) -> Floats:
    """Compute the macro-averaged F1 over all classes.

    A class that neither occurs nor is predicted counts as 0, as in scikit-learn's `f1_score` with
    `labels` and `zero_division=0`.

    Parameters
    ----------
    confusions : ndarray
        Confusion matrices ``[..., classes, classes]``; rows are the truth.

    Returns
    -------
    ndarray
        Macro-F1 ``[...]``.
    """
    correct = np.diagonal(confusions, axis1=-2, axis2=-1)
    counts = confusions.sum(axis=-1) + confusions.sum(axis=-2)
    f1: Floats = np.nan_to_num(ratio(2 * correct, counts)).mean(axis=-1)
    return f1


def ratio(numerator: Floats, denominator: Floats) -> Floats:
    """Divide elementwise, with NaN where the denominator is not positive.

    Parameters
    ----------
    numerator : ndarray
        Dividends.
    denominator : ndarray
        Divisors; both are broadcast to a common shape.

    Returns
    -------
    ndarray
        Ratios, of the common shape.
    """
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    quotient: Floats = np.divide(
        numerator, denominator, out=np.full(numerator.shape, np.nan), where=denominator > 0
    )
    return quotient


def _nan_mean(values: Floats) -> Floats:
    """Return the mean over the last axis, without NaNs; NaN (without a warning) if all are."""
    present = ~np.isnan(values)
    sums = np.where(present, values, 0.0).sum(axis=-1)
    return ratio(sums, present.sum(axis=-1).astype(float))


def expected_calibration_error(
    confidence: Floats, correct: NDArray[np.bool_], bins: int = 15
) -> float:
    """Compute the expected calibration error (ECE).

    It is the mean distance between accuracy and confidence over bins of equal width, (0, 1/15],
    (1/15, 2/15] …, weighted by their number of utterances.

    Parameters
    ----------
    confidence : ndarray
        Highest class probability ``[utterances]``.
    correct : ndarray
        Whether the class of the highest probability is the true one ``[utterances]``.
    bins : int
        Number of bins.

    Returns
    -------
    float
        Expected calibration error, between 0 and 1.

    References
    ----------
    C. Guo, G. Pleiss, Y. Sun, K. Q. Weinberger, "On Calibration of Modern Neural Networks",
    ICML 2017, eq. 3.
    """
    index = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    confidence_sums = np.bincount(index, weights=confidence, minlength=bins)
    correct_counts = np.bincount(index, weights=correct.astype(float), minlength=bins)
    return float(np.abs(confidence_sums - correct_counts).sum() / len(confidence))


def brier_score(probabilities: Floats, truth: NDArray[np.int64]) -> float:
    """Compute the Brier score: squared error summed over classes, averaged over utterances.

    Parameters
    ----------
    probabilities : ndarray
        Class probabilities ``[utterances, classes]``.
    truth : ndarray
        True class indices ``[utterances]``.

    Returns
    -------
    float
        Brier score, between 0 and 2.

    References
    ----------
    G. W. Brier, "Verification of Forecasts Expressed in Terms of Probability", Monthly Weather
    Review 78, 1950, eq. 2.
    """
    one_hot = np.eye(probabilities.shape[1])[truth]
    return float(((probabilities - one_hot) ** 2).sum(axis=1).mean())


def metrics_of(confusion: NDArray[np.int64]) -> Metrics:
    """Compute all metrics of a confusion matrix.

    Parameters
    ----------
    confusion : ndarray
        Counts ``[classes, classes]``; rows are the truth.

    Returns
    -------
    Metrics
        Unweighted accuracy, accuracy, macro-F1 and recalls.
    """
    counts = confusion.astype(float)
    return Metrics(
        unweighted_accuracy=float(unweighted_accuracies(counts)),
        accuracy=float(accuracies(counts)),
        macro_f1=float(macro_f1s(counts)),
        recalls=tuple(ratio(np.diag(counts), counts.sum(axis=1)).tolist()),
    )
