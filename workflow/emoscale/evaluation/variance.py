"""Variance components of an unweighted accuracy (UA), or of a difference of two.

The components are the variance between speakers, and that between trainings of the same fold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emoscale.training.metrics import Floats, ratio


@dataclass(frozen=True)
class VarianceComponents:
    """Variances of the UA (or a difference of two) of all folds pooled, mean over repeats."""

    between_speakers: float
    """From the scatter of the speakers' contributions; it contains a part of `trainings`."""

    trainings: float | None
    """From the scatter of each fold's repeats; None with a single repeat."""

    total: float
    """Speakers and trainings, each counted once; not a number for a single speaker."""

    between_folds: float
    """From the scatter of the folds' contributions: the whole variance, from fewer values."""

    seeds: float | None
    """The initialisations' part of `trainings`; None where orders and seeds are confounded."""


def linearised_contributions(correct: Floats, support: Floats) -> Floats:
    """Compute the contribution of each speaker and repeat to unweighted accuracy (UA).

    UA is a mean of ratios. The contributions are its first-order Taylor expansion around the mean
    over repeats, as in survey statistics for ratios over clusters.

    Parameters
    ----------
    correct : ndarray
        Numbers of correct predictions ``[repeats, speakers, classes]``, or the difference of two
        experiments.
    support : ndarray
        Numbers of test utterances ``[speakers, classes]``.

    Returns
    -------
    ndarray
        Contributions ``[repeats, speakers]``. Their mean over repeats sums to 0.

    References
    ----------
    Cochran, "Sampling Techniques", 3rd edition 1977, sections 6.3 and 9A.
    """
    utterances = support.sum(axis=0)
    tested = utterances > 0
    recalls = ratio(correct.mean(axis=0).sum(axis=0), utterances)
    residuals = correct - np.where(tested, recalls, 0.0) * support
    contributions: Floats = (residuals[:, :, tested] / utterances[tested]).sum(
        axis=2
    ) / tested.sum()
    return contributions


def variance_components(
    contributions: Floats, in_fold: Floats, orders: Sequence[int]
) -> VarianceComponents:
    """Estimate the variance components of a sum of contributions.

    A training moves all speakers of its fold, so the variance between speakers contains only about
    (folds - 1) / (speakers - 1) of the trainings' variance; `total` adds the rest. Orders are
    nested in folds and repeats in orders (nested analysis of variance).

    Parameters
    ----------
    contributions : ndarray
        ``[repeats, speakers]``, of `linearised_contributions`.
    in_fold : ndarray
        ``[folds, speakers]``, 1 where the fold tests the speaker, else 0.
    orders : sequence of int
        The training order of each repeat.

    Returns
    -------
    VarianceComponents
        The variances, in squared units of UA.

    References
    ----------
    Searle, Casella and McCulloch, "Variance Components", 1992, chapter 3.
    """
    repeats, speakers = contributions.shape
    folds = len(in_fold)
    by_speaker = contributions.mean(axis=0)
    between_speakers = _variance_of_sum(by_speaker)
    between_folds = _variance_of_sum(in_fold @ by_speaker)
    if repeats == 1:
        return VarianceComponents(between_speakers, None, between_speakers, between_folds, None)
    by_fold = contributions @ in_fold.T  # [repeats, folds]
    numbers, order_of = np.unique(np.array(orders), return_inverse=True)
    seeds_per_order = repeats // len(numbers)
    means = np.array([by_fold[order_of == order].mean(axis=0) for order in range(len(numbers))])
    within = ((by_fold - means[order_of]) ** 2).sum()
    seeds: float | None = None
    if len(numbers) == 1:
        trainings = float(within / (repeats - 1) / repeats)
    else:
        trainings = float(means.var(axis=0, ddof=1).sum() / len(numbers))
        if seeds_per_order > 1:
            seeds = min(float(within / (repeats - len(numbers)) / repeats), trainings)
    unobserved = (speakers - folds) / (speakers - 1) if speakers > 1 else 1.0
    total = between_speakers + unobserved * trainings
    return VarianceComponents(between_speakers, trainings, total, between_folds, seeds)


def _variance_of_sum(contributions: Floats) -> float:
    """Estimate the variance of a sum of independent contributions; NaN for fewer than two."""
    number = len(contributions)
    if number < 2:
        return float("nan")
    return float(number * contributions.var(ddof=1))
