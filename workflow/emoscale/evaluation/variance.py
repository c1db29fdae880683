"""Variance of an unweighted accuracy (UA), or of a difference of two, by the jackknife.

Two sources are separated: the variance between speakers, and that between trainings of one fold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emoscale.evaluation.speakers import PredictionCounts, training_variance_fraction
from emoscale.training.metrics import Floats, mean_recall


@dataclass(frozen=True)
class JackknifeValues:
    """Values of UA that its variance is estimated from; leading axes are experiments or pairs.

    All of them are linear in the numbers of correct predictions. The values of a difference of two
    experiments are therefore the differences of their values, and the values of a mean over
    training sizes are the means of theirs.
    """

    ua: Floats
    """[...] UA of all folds pooled, mean over repeats."""

    without_speaker: Floats
    """[..., speakers] the same without each speaker."""

    without_fold: Floats
    """[..., folds] the same without the speakers of each fold."""

    by_training: Floats
    """[..., repeats, folds] contribution of each training to the UA of its repeat."""

    identical_repeats: NDArray[np.bool_]
    """[...] whether all repeats predict alike, so that they do not show the variance of trainings;
    of a difference: whether this holds for one of the two."""

    def select(self, index: Any) -> JackknifeValues:
        """Return the values at an index of the leading axes.

        Parameters
        ----------
        index : Any
            Index of an array.

        Returns
        -------
        JackknifeValues
            The selected values.
        """
        return JackknifeValues(*(getattr(self, name)[index] for name in _ARRAYS))

    def mean(self, axis: int) -> JackknifeValues:
        """Return the values of the mean over a leading axis, such as that of training sizes.

        Parameters
        ----------
        axis : int
            The axis, from 0.

        Returns
        -------
        JackknifeValues
            The means. Their repeats are identical where all averaged ones are.
        """
        return JackknifeValues(
            self.ua.mean(axis),
            self.without_speaker.mean(axis),
            self.without_fold.mean(axis),
            self.by_training.mean(axis),
            np.asarray(self.identical_repeats.all(axis)),
        )

    def __sub__(self, other: JackknifeValues) -> JackknifeValues:
        """Return the values of the difference."""
        return JackknifeValues(
            self.ua - other.ua,
            self.without_speaker - other.without_speaker,
            self.without_fold - other.without_fold,
            self.by_training - other.by_training,
            self.identical_repeats | other.identical_repeats,
        )


_ARRAYS = tuple(each.name for each in fields(JackknifeValues))


@dataclass(frozen=True)
class VarianceComponents:
    """Variances [...] of the UA (or a difference) of all folds pooled, mean over repeats."""

    between_speakers: Floats
    """Jackknife over speakers; it contains a part of `trainings`. NaN for a single speaker."""

    between_folds: Floats
    """Jackknife over folds: the whole variance, from fewer values. NaN for a single fold."""

    trainings: Floats
    """From the scatter of each fold's repeats; 0 where all repeats predict alike."""

    total: Floats
    """Speakers and trainings, each counted once; NaN for a single speaker."""

    seeds: Floats | None
    """The initialisations' part of `trainings`; None where orders and seeds are confounded."""


def jackknife_values(counts: PredictionCounts) -> JackknifeValues:
    """Compute the values that the variance of an experiment's UA is estimated from.

    Parameters
    ----------
    counts : PredictionCounts
        Confusion counts of one experiment and size.

    Returns
    -------
    JackknifeValues
        The values, without leading axes. A class without any other speaker is left out of the mean
        of recalls.
    """
    correct, support = counts.correct.mean(axis=0), counts.support
    total, total_support = correct.sum(axis=0), support.sum(axis=0)
    tested = total_support > 0
    by_class = counts.correct[:, :, tested] / total_support[tested]
    return JackknifeValues(
        mean_recall(total, total_support),
        mean_recall(total - correct, total_support - support),
        mean_recall(total - counts.in_fold @ correct, total_support - counts.in_fold @ support),
        by_class.mean(axis=2) @ counts.in_fold.T,
        np.array(counts.identical_repeats),
    )


def stack(values: Sequence[JackknifeValues]) -> JackknifeValues:
    """Stack the values of experiments along a new first axis.

    Parameters
    ----------
    values : sequence of JackknifeValues
        Values of the same shape.

    Returns
    -------
    JackknifeValues
        The stacked values.
    """
    return JackknifeValues(
        *(np.stack([getattr(each, name) for each in values]) for name in _ARRAYS)
    )


def variance_components(
    values: JackknifeValues, in_fold: Floats, orders: Sequence[int]
) -> VarianceComponents:
    """Estimate the variance components of a UA or of a difference of two.

    A training moves all speakers of its fold, so the variance between speakers contains only a part
    of the trainings' variance; `total` adds the rest (`training_variance_fraction`). Orders are
    nested in folds and repeats in orders (nested analysis of variance).

    Parameters
    ----------
    values : JackknifeValues
        Values of an experiment, or of a difference.
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
    Efron and Stein, "The Jackknife Estimate of Variance", 1981. Searle, Casella and McCulloch,
    "Variance Components", 1992, chapter 3.
    """
    between_speakers = _jackknife_variance(values.without_speaker)
    between_folds = _jackknife_variance(values.without_fold)
    repeats = len(orders)
    numbers, order_of = np.unique(np.array(orders), return_inverse=True)
    seeds = None
    trainings = np.zeros_like(between_speakers)
    if repeats > 1:
        by_training = values.by_training
        means = np.stack(
            [by_training[..., order_of == order, :].mean(axis=-2) for order in range(len(numbers))],
            axis=-2,
        )
        within = ((by_training - means[..., order_of, :]) ** 2).sum(axis=(-2, -1))
        if len(numbers) == 1:
            trainings = within / (repeats - 1) / repeats
        else:
            trainings = means.var(axis=-2, ddof=1).sum(axis=-1) / len(numbers)
            if repeats > len(numbers):
                seeds = np.minimum(within / (repeats - len(numbers)) / repeats, trainings)
    total = between_speakers + training_variance_fraction(in_fold) * trainings
    return VarianceComponents(between_speakers, between_folds, trainings, total, seeds)


def _jackknife_variance(without: Floats) -> Floats:
    """Estimate a variance from the values without each of n units [..., n]; NaN for n = 1."""
    number = without.shape[-1]
    if number < 2:
        return np.full(without.shape[:-1], np.nan)
    variance: Floats = (number - 1) * without.var(axis=-1)
    return variance
