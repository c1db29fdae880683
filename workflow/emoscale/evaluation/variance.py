"""The variance of a UA, or of a difference of two: what speakers and what trainings give to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emoscale.training.metrics import Floats, ratio


@dataclass(frozen=True)
class Variance:
    """Of a UA (or a difference) of all folds pooled, mean over repeats; squares of shares."""

    between_speakers: float
    """As the speakers' contributions scatter: with most, not all, of the trainings' share."""

    trainings: float | None
    """As each fold's repeats scatter; None: there is one repeat."""

    total: float
    """Speakers and trainings together, each counted once; not a number for one speaker."""

    between_folds: float
    """As the folds' contributions scatter: all there is, from fewer values."""

    seeds: float | None
    """The initialisations' part of `trainings`; None: cannot be told from the orders'."""


def linearised(right: Floats, there: Floats) -> Floats:
    """[repeats, speakers] what each adds to UA's distance from its mean over repeats.

    `right` [repeats, speakers, classes] are right answers, or a difference of two experiments',
    `there` [speakers, classes] the utterances. UA is a mean of ratios; this is its first-order
    (Taylor) form, as survey statistics has it for ratios over clusters (Cochran, "Sampling
    Techniques", 3rd edition 1977, section 6.3 and 9A). A mean over repeats sums to 0.
    """
    utterances = there.sum(axis=0)
    tested = utterances > 0
    recalls = ratio(right.mean(axis=0).sum(axis=0), utterances)
    distance = right - np.where(tested, recalls, 0.0) * there
    contributions: Floats = (distance[:, :, tested] / utterances[tested]).sum(axis=2) / tested.sum()
    return contributions


def variance_of(contributions: Floats, in_fold: Floats, orders: Sequence[int]) -> Variance:
    """Variance from `linearised` contributions [repeats, speakers].

    `in_fold` [folds, speakers] is 1 where the fold tests the speaker, `orders` the training order
    of each repeat.

    Trainings of a fold move all its speakers together, so the spread of speakers shows only a part
    of the trainings' share, about (folds - 1) / (speakers - 1) of it; `total` adds the rest. Orders
    are nested in folds and repeats in orders (analysis of variance of a nested design: Searle,
    Casella and McCulloch, "Variance Components", 1992, chapter 3).
    """
    repeats, speakers = contributions.shape
    folds = len(in_fold)
    by_speaker = contributions.mean(axis=0)
    between_speakers = _scatter(by_speaker)
    between_folds = _scatter(in_fold @ by_speaker)
    if repeats == 1:
        return Variance(between_speakers, None, between_speakers, between_folds, None)
    by_fold = contributions @ in_fold.T  # [repeats, folds]
    numbers, order_of = np.unique(np.array(orders), return_inverse=True)
    each = repeats // len(numbers)
    means = np.array([by_fold[order_of == order].mean(axis=0) for order in range(len(numbers))])
    within = ((by_fold - means[order_of]) ** 2).sum()
    seeds: float | None = None
    if len(numbers) == 1:
        trainings = float(within / (repeats - 1) / repeats)
    else:
        trainings = float(means.var(axis=0, ddof=1).sum() / len(numbers))
        if each > 1:
            seeds = min(float(within / (repeats - len(numbers)) / repeats), trainings)
    unseen = (speakers - folds) / (speakers - 1) if speakers > 1 else 1.0
    total = between_speakers + unseen * trainings
    return Variance(between_speakers, trainings, total, between_folds, seeds)


def _scatter(contributions: Floats) -> float:
    """Variance of the sum of independent contributions; not a number for one alone."""
    number = len(contributions)
    if number < 2:
        return float("nan")
    return float(number * contributions.var(ddof=1))
