"""Prediction counts by speaker, and the bootstrap over speakers and trainings.

Utterances of one speaker are not independent, so whole speakers are resampled (a cluster
bootstrap). The trainings of each fold, each with its own order and initialisation, are resampled
as well. docs/explanation/statistics.md reports the coverage of the intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from emoscale.training.metrics import Floats, unweighted_accuracies

Metric = Callable[[Floats], Floats]
"""Computes scores [...] from counts [..., classes, classes] of truth and prediction."""


@dataclass(frozen=True)
class PredictionCounts:
    """Confusion counts by repeat and speaker, of one experiment and size over all folds."""

    speakers: tuple[str, ...]
    """Names of the tested speakers, sorted."""

    confusions: NDArray[np.int64]
    """[repeats, speakers, classes, classes] counts; the last two axes: truth, prediction."""

    folds: tuple[str, ...] = ()
    """The fold that tests each speaker; empty: a single fold tests all speakers."""

    orders: tuple[int, ...] = ()
    """The training order of each repeat; empty: every repeat has an order to itself."""

    @property
    def repeats(self) -> int:
        """Number of trainings per fold."""
        return len(self.confusions)

    @cached_property
    def correct(self) -> Floats:
        """[repeats, speakers, classes] numbers of correct predictions, by true class."""
        correct: Floats = np.diagonal(self.confusions, axis1=2, axis2=3).astype(float)
        return correct

    @cached_property
    def support(self) -> Floats:
        """[speakers, classes] numbers of test utterances; the same for every repeat."""
        support: Floats = self.confusions[0].sum(axis=2).astype(float)
        return support

    @cached_property
    def in_fold(self) -> Floats:
        """[folds, speakers] indicator: 1 where the fold tests the speaker, else 0."""
        return fold_indicators(self.folds or ("all",) * len(self.speakers))

    @cached_property
    def order_averaging(self) -> Floats:
        """[orders, repeats] matrix that averages the repeats of each training order.

        Repeats of one order learn from the same utterances, so orders are what varies
        independently. With a single order each repeat counts by itself: the variance between orders
        is then not observed.
        """
        repeat_orders = np.array(self.orders or range(self.repeats))
        orders = np.unique(repeat_orders)
        if len(orders) == 1:
            return np.eye(self.repeats)
        members = (repeat_orders == orders[:, None]).astype(float)
        means: Floats = members / members.sum(axis=1, keepdims=True)
        return means


@dataclass(frozen=True)
class SpeakerBootstrap:
    """Bootstrap samples of speakers and trainings; all experiments share them, so are paired."""

    speakers: tuple[str, ...]
    """Names of the resampled speakers."""

    speaker_weights: Floats
    """[samples, speakers] how often each speaker is in each bootstrap sample."""

    seed: int
    """Seed of the bootstrap samples of trainings."""

    def training_weights(self, trainings: int, folds: int) -> Floats:
        """Return bootstrap weights of the trainings of each fold.

        The deviations from equal weights are scaled by the root of two factors. The first,
        n / (n - 1), corrects the variance of n values, which their bootstrap understates. The
        second, (speakers - folds) / (speakers - 1), is the fraction of the trainings' variance that
        the variance between speakers does not already contain: all speakers of a fold are predicted
        by the same trainings. It is 0 with one speaker per fold, and 1 with a single fold.

        Parameters
        ----------
        trainings : int
            Number of independent trainings per fold.
        folds : int
            Number of folds.

        Returns
        -------
        ndarray
            Weights ``[samples, folds, trainings]`` that sum to 1 over the trainings.
        """
        samples, speakers = self.speaker_weights.shape
        if trainings == 1 or speakers == folds:
            return np.full((samples, folds, trainings), 1 / trainings)
        generator = np.random.default_rng([self.seed, 52, trainings])
        equal = np.full(trainings, 1 / trainings)
        resampled = generator.multinomial(trainings, equal, (samples, folds)) / trainings
        factor = trainings / (trainings - 1) * (speakers - folds) / (speakers - 1)
        scaled: Floats = equal + np.sqrt(factor) * (resampled - equal)
        return scaled


def count_predictions(
    predictions: pl.DataFrame, speaker_of: pl.DataFrame, classes: Sequence[str]
) -> PredictionCounts:
    """Count the predictions of one experiment and size over all folds.

    Speakers without a test utterance are left out. If a speaker is tested in several folds (custom
    folds that share speakers), `folds` is left empty: trainings are then treated as shared by all
    speakers, which makes intervals too wide rather than too narrow.

    Parameters
    ----------
    predictions : DataFrame
        Columns `utterance, repeat, label, predicted`. Also `fold` and `order`, unless a single fold
        tests all speakers and every repeat has an order to itself.
    speaker_of : DataFrame
        Columns `utterance, speaker`.
    classes : sequence of str
        Class names, in the order of the confusion counts.

    Returns
    -------
    PredictionCounts
        The counts, with speakers in alphabetical order.
    """
    joined = predictions.join(speaker_of.select("utterance", "speaker"), on="utterance")
    assert len(joined) == len(predictions), "every tested utterance has a speaker"
    speakers = sorted(joined["speaker"].unique())
    repeats = sorted(joined["repeat"].unique())
    counted = joined.group_by("repeat", "speaker", "label", "predicted").len()
    confusions = np.zeros((len(repeats), len(speakers), len(classes), len(classes)), np.int64)
    indices = [
        [values.index(value) for value in counted[column]]
        for column, values in (
            ("repeat", repeats),
            ("speaker", speakers),
            ("label", list(classes)),
            ("predicted", list(classes)),
        )
    ]
    confusions[tuple(indices)] = counted["len"].to_numpy()
    folds: tuple[str, ...] = ()
    if "fold" in joined.columns:
        pairs = joined.select("speaker", "fold").unique()
        if len(pairs) == len(speakers):
            fold_of = dict(pairs.iter_rows())
            folds = tuple(fold_of[speaker] for speaker in speakers)
    orders: tuple[int, ...] = ()
    if "order" in joined.columns:
        order_of = dict(joined.select("repeat", "order").unique().iter_rows())
        orders = tuple(order_of[repeat] for repeat in repeats)
    return PredictionCounts(tuple(speakers), confusions, folds, orders)


def bootstrap_speakers(speakers: Sequence[str], seed: int, samples: int = 4000) -> SpeakerBootstrap:
    """Draw bootstrap samples of speakers, each with replacement and of the original size.

    Parameters
    ----------
    speakers : sequence of str
        Names of the tested speakers.
    seed : int
        Seed of the random generator.
    samples : int
        Number of bootstrap samples.

    Returns
    -------
    SpeakerBootstrap
        The bootstrap samples.
    """
    number = len(speakers)
    generator = np.random.default_rng([seed, 51])
    weights = generator.multinomial(number, np.full(number, 1 / number), samples)
    return SpeakerBootstrap(tuple(speakers), weights.astype(float), seed)


def fold_indicators(folds: Sequence[str]) -> Floats:
    """Return which fold tests which speaker, as an indicator matrix.

    Parameters
    ----------
    folds : sequence of str
        The fold of each speaker.

    Returns
    -------
    ndarray
        ``[folds, speakers]``, 1 where the fold tests the speaker, else 0; folds sorted by name.
    """
    names = np.array(folds)
    indicators: Floats = (names == np.unique(names)[:, None]).astype(float)
    return indicators


def pooled_score(counts: PredictionCounts, metric: Metric) -> float:
    """Compute a score of all folds pooled, mean over repeats: the point estimate.

    Parameters
    ----------
    counts : PredictionCounts
        Confusion counts of one experiment and size.
    metric : callable
        Computes scores from confusion counts.

    Returns
    -------
    float
        The score.
    """
    return float(metric(counts.confusions.sum(axis=1).astype(float)).mean())


def bootstrap_scores(
    counts: PredictionCounts, bootstrap: SpeakerBootstrap, metric: Metric
) -> Floats:
    """Compute a score for each bootstrap sample of speakers and trainings.

    The two sources of variation are added: speakers are resampled with the original trainings, and
    trainings with the original speakers. (Resampling both at once would count the variance of
    trainings a second time in each speaker.)

    Parameters
    ----------
    counts : PredictionCounts
        Confusion counts of one experiment and size.
    bootstrap : SpeakerBootstrap
        Bootstrap samples of the same speakers.
    metric : callable
        Computes scores from confusion counts.

    Returns
    -------
    ndarray
        Scores ``[samples]``.
    """
    assert counts.speakers == bootstrap.speakers, "the bootstrap is of the same speakers"
    confusions = counts.confusions.astype(float)
    of_speakers = np.einsum("ds,rsij->drij", bootstrap.speaker_weights, confusions, optimize=True)
    by_order = np.einsum("or,rsij->osij", counts.order_averaging, confusions, optimize=True)
    by_fold = np.einsum("fs,osij->ofij", counts.in_fold, by_order, optimize=True)
    weights = bootstrap.training_weights(len(by_order), len(counts.in_fold))
    of_trainings = np.einsum("dfo,ofij->dij", weights, by_fold, optimize=True)
    original = metric(by_fold.mean(axis=0).sum(axis=0))
    scores: Floats = metric(of_speakers).mean(axis=1) + metric(of_trainings) - original
    return scores


def unweighted_accuracy(counts: PredictionCounts) -> float:
    """Compute unweighted accuracy (UA) of all folds pooled, mean over repeats.

    Parameters
    ----------
    counts : PredictionCounts
        Confusion counts of one experiment and size.

    Returns
    -------
    float
        Unweighted accuracy, 0 to 1.
    """
    return pooled_score(counts, unweighted_accuracies)


def bootstrap_unweighted_accuracy(counts: PredictionCounts, bootstrap: SpeakerBootstrap) -> Floats:
    """Compute unweighted accuracy (UA) for each bootstrap sample.

    The mean of recalls is over the classes that occur in the sample.

    Parameters
    ----------
    counts : PredictionCounts
        Confusion counts of one experiment and size.
    bootstrap : SpeakerBootstrap
        Bootstrap samples of the same speakers.

    Returns
    -------
    ndarray
        Unweighted accuracies ``[samples]``.
    """
    return bootstrap_scores(counts, bootstrap, unweighted_accuracies)


def confidence_interval(
    values: Floats, speakers: int, confidence: float = 0.95
) -> tuple[float, float]:
    """Compute the expanded percentile interval of bootstrap values.

    Percentiles of a bootstrap over few speakers are too narrow. They are moved outwards to match
    Student's t distribution with `speakers` - 1 degrees of freedom.

    Parameters
    ----------
    values : ndarray
        Bootstrap values ``[samples]``. Infinite values are allowed (a factor beyond the measured
        range).
    speakers : int
        Number of resampled speakers.
    confidence : float
        Confidence of the interval, 0 to 1.

    Returns
    -------
    tuple of float
        Lower and upper end; both not a number for a single speaker.

    References
    ----------
    Hesterberg, "What Teachers Should Know About the Bootstrap", 2015, section 5.2.
    """
    from scipy import stats  # 0.8 s to import

    if speakers < 2:
        return float("nan"), float("nan")
    quantile = stats.t.ppf((1 + confidence) / 2, speakers - 1) * np.sqrt(speakers / (speakers - 1))
    tail = float(stats.norm.cdf(-quantile))
    ordered = np.sort(values)
    below = int(np.floor(tail * (len(ordered) - 1)))
    return float(ordered[below]), float(ordered[len(ordered) - 1 - below])
