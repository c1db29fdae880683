"""Measured learning curves, with their bootstrap samples over speakers and trainings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from emoscale.evaluation.speakers import (
    PredictionCounts,
    bootstrap_speakers,
    bootstrap_unweighted_accuracy,
    unweighted_accuracy,
)
from emoscale.training.metrics import Floats


@dataclass(frozen=True)
class LearningCurve:
    """Unweighted accuracy (UA) of one experiment at increasing numbers of labels."""

    experiment: str
    """Name of the experiment, or of the published system."""

    sizes: tuple[str, ...]
    """Names of the training sizes, smallest first."""

    labels: Floats
    """[sizes] numbers of training labels, mean over folds; non-decreasing."""

    ua: Floats
    """[sizes] unweighted accuracy, 0 to 1."""

    bootstrap_ua: Floats | None = None
    """[samples, sizes] UA in each bootstrap sample; all curves of a study share the samples. None
    for a published curve."""

    speakers: int = 0
    """Number of tested speakers, which are resampled."""

    @property
    def has_several_sizes(self) -> bool:
        """Whether there are two different numbers of labels or more."""
        return bool(self.labels[-1] > self.labels[0])

    def head(self, sizes: int) -> LearningCurve:
        """Return the curve of the smallest training sizes.

        Parameters
        ----------
        sizes : int
            Number of training sizes to keep.

        Returns
        -------
        LearningCurve
            The shortened curve.
        """
        return LearningCurve(
            self.experiment,
            self.sizes[:sizes],
            self.labels[:sizes],
            self.ua[:sizes],
            None if self.bootstrap_ua is None else self.bootstrap_ua[:, :sizes],
            self.speakers,
        )


def measured_curves(
    scores: pl.DataFrame,
    counts: Iterable[tuple[str, str, PredictionCounts]],
    seed: int,
    samples: int = 4000,
) -> list[LearningCurve]:
    """Compute the learning curve of each experiment of a study.

    Parameters
    ----------
    scores : DataFrame
        Columns `experiment, size, training_utterances_mean`.
    counts : iterable of tuple
        Experiment, size and confusion counts of each row of `scores` (`counts_by_cell`).
    seed : int
        Seed of the bootstrap.
    samples : int
        Number of bootstrap samples. All experiments and sizes share them, so that whatever is
        computed from several curves is paired.

    Returns
    -------
    list of LearningCurve
        One curve per experiment, in the order of `scores`.
    """
    bootstrap = None
    ua: dict[tuple[str, str], float] = {}
    bootstrap_ua: dict[tuple[str, str], Floats] = {}
    for experiment, size, each in counts:
        bootstrap = bootstrap or bootstrap_speakers(
            each.speakers, seed, samples, folds=each.fold_names
        )
        ua[experiment, size] = unweighted_accuracy(each)
        bootstrap_ua[experiment, size] = bootstrap_unweighted_accuracy(each, bootstrap)
    curves = []
    for (name,), rows in scores.group_by("experiment", maintain_order=True):
        ordered = rows.sort("training_utterances_mean", maintain_order=True)
        cells = [(str(name), size) for size in ordered["size"]]
        assert bootstrap is not None, "an experiment has a size"
        curves.append(
            LearningCurve(
                str(name),
                tuple(ordered["size"]),
                ordered["training_utterances_mean"].to_numpy(),
                np.array([ua[cell] for cell in cells]),
                np.stack([bootstrap_ua[cell] for cell in cells], axis=1),
                len(bootstrap.speakers),
            )
        )
    return curves


def isotonic(ua: Floats) -> Floats:
    """Compute the isotonic regression of each curve: the nearest non-decreasing curve.

    Where measured UA decreases with more labels, the points involved get their mean. The max-min
    formula fits all rows at once; the result equals scikit-learn's `isotonic_regression`.

    Parameters
    ----------
    ua : ndarray
        Unweighted accuracies ``[..., sizes]``.

    Returns
    -------
    ndarray
        Non-decreasing unweighted accuracies ``[..., sizes]``.

    References
    ----------
    Robertson, Wright & Dykstra, "Order Restricted Statistical Inference", 1988, section 1.4.

    Examples
    --------
    >>> isotonic(np.array([0.4, 0.6, 0.5])).round(2).tolist()
    [0.4, 0.55, 0.55]
    """
    sizes = ua.shape[-1]
    sums = np.concatenate([np.zeros((*ua.shape[:-1], 1)), np.cumsum(ua, axis=-1)], axis=-1)
    fitted = np.full(ua.shape, -np.inf)
    for index in range(sizes):
        for begin in range(index + 1):
            counts = np.arange(index + 1 - begin, sizes + 1 - begin)
            means = (sums[..., index + 1 :] - sums[..., begin, None]) / counts
            fitted[..., index] = np.maximum(fitted[..., index], means.min(axis=-1))
    # Equal values may differ in their last bit, depending on the order of summation.
    rounded: Floats = np.round(fitted, 12)
    return rounded


def labels_needed(
    labels: Sequence[float] | Floats, fitted: Floats, ua: Floats
) -> tuple[Floats, Floats]:
    """Compute bounds on the smallest number of labels at which curves reach a UA.

    Between two sizes a curve is linear in the logarithm of the labels. Within the range of the
    curve both bounds are equal. Below its first point they are 0 and its smallest number of labels;
    above its last point, its largest number of labels and infinity.

    Parameters
    ----------
    labels : sequence of float
        Numbers of labels ``[sizes]``, increasing.
    fitted : ndarray
        Non-decreasing curves ``[rows, sizes]`` (see `isotonic`).
    ua : ndarray
        The unweighted accuracy to reach ``[rows]``.

    Returns
    -------
    tuple of ndarray
        Lower and upper bounds ``[rows]``.
    """
    numbers = np.asarray(labels, dtype=float)
    logs = np.log(numbers)
    sizes = len(logs)
    first_reached = (fitted < ua[:, None]).sum(axis=1)  # index of a size; `sizes`: not reached
    rows = np.arange(len(ua))
    upper = np.clip(first_reached, 1, sizes - 1)
    lower = upper - 1
    rise = fitted[rows, upper] - fitted[rows, lower]
    fraction = np.divide(ua - fitted[rows, lower], rise, out=np.zeros(len(ua)), where=rise > 0)
    between = np.exp(logs[lower] + fraction.clip(0.0, 1.0) * (logs[upper] - logs[lower]))
    point = first_reached.clip(max=sizes - 1)
    at_point = fitted[rows, point] == ua
    between = np.where(at_point, numbers[point], between)
    below = (first_reached == 0) & ~at_point
    beyond = first_reached == sizes
    least = np.where(below, 0.0, np.where(beyond, numbers[-1], between))
    most = np.where(below, numbers[0], np.where(beyond, np.inf, between))
    return least, most
