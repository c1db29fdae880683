"""Prediction counts by speaker, and the bootstrap over speakers and trainings.

Utterances of one speaker are not independent, so whole speakers are resampled (a cluster
bootstrap). The trainings of each fold, each with its own order and initialisation, are resampled
as well. docs/explanation/statistics.md reports the coverage of the intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import polars as pl
from numpy.typing import NDArray

from emoscale.training.metrics import Floats, unweighted_accuracies

_ALL_SPEAKERS = "all"

Metric = Callable[[Floats], Floats]
"""Computes scores [...] from counts [..., classes, classes] of truth and prediction."""


@dataclass(frozen=True)
class PredictionCounts:
    """Confusion counts by repeat and speaker, of one experiment and size over all folds."""

    speakers: tuple[str, ...]
    """Names of the tested speakers, sorted."""

    confusions: NDArray[np.int64] | Floats
    """[repeats, speakers, classes, classes] counts, or sums of weights; the last two axes: truth,
    prediction."""

    folds: tuple[str, ...] = ()
    """The fold that tests each speaker (`fold_of_speaker`); empty: a single one tests all."""

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
    def identical_repeats(self) -> bool:
        """Whether all repeats predict alike, so that they do not show the variance of trainings."""
        return bool((self.confusions == self.confusions[0]).all())

    @cached_property
    def fold_names(self) -> tuple[str, ...]:
        """[folds] names of the folds, sorted; `all` for a single fold that tests all speakers."""
        return tuple(sorted(set(self.folds))) or (_ALL_SPEAKERS,)

    @cached_property
    def in_fold(self) -> Floats:
        """[folds, speakers] indicator: 1 where the fold tests the speaker, else 0."""
        return fold_indicators(self.folds or (_ALL_SPEAKERS,) * len(self.speakers))

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

    folds: tuple[str, ...] = (_ALL_SPEAKERS,)
    """Names of all folds of the study, sorted."""

    def training_weights(self, trainings: int, counts: PredictionCounts) -> Floats:
        """Return bootstrap weights of the trainings of each fold.

        Every fold of the study has its own samples, also where `counts` lack a fold, so that groups
        of utterances are paired by training. The deviations from equal weights are scaled by the
        root of two factors: n / (n - 1), because the bootstrap of n values understates their
        variance, and `training_variance_fraction`.

        Parameters
        ----------
        trainings : int
            Number of independent trainings per fold.
        counts : PredictionCounts
            Counts whose folds are weighted.

        Returns
        -------
        ndarray
            Weights ``[samples, folds, trainings]`` that sum to 1 over the trainings.
        """
        fraction = training_variance_fraction(counts.in_fold)
        samples = len(self.speaker_weights)
        if trainings == 1 or fraction == 0:
            return np.full((samples, len(counts.fold_names), trainings), 1 / trainings)
        resampled = _resample_trainings(self.seed, trainings, samples, len(self.folds))
        selected = resampled[:, [self.folds.index(name) for name in counts.fold_names]]
        equal = 1 / trainings
        scale = np.sqrt(trainings / (trainings - 1) * fraction)
        scaled: Floats = equal + scale * (selected - equal)
        return scaled


@lru_cache(maxsize=2)  # all experiments of a study share it
def _resample_trainings(seed: int, trainings: int, samples: int, folds: int) -> Floats:
    """Draw how often each training is in a sample [samples, folds, trainings], as fractions."""
    generator = np.random.default_rng([seed, 52, trainings])
    equal = np.full(trainings, 1 / trainings)
    resampled: Floats = generator.multinomial(trainings, equal, (samples, folds)) / trainings
    return resampled


def confusion_by_speaker(predictions: pl.DataFrame, speaker_of: pl.DataFrame) -> pl.DataFrame:
    """Count predictions by repeat, speaker, true class and predicted class.

    Parameters
    ----------
    predictions : DataFrame
        Columns `utterance, repeat, label, predicted`; optionally `fold` and `order`. A
        column `weight` makes the counts sums of weights.
    speaker_of : DataFrame
        Columns `utterance, speaker`.

    Returns
    -------
    DataFrame
        Columns `fold, repeat, order, speaker, label, predicted, utterances`, sorted.
    """
    joined = predictions.join(speaker_of.select("utterance", "speaker"), on="utterance")
    assert len(joined) == len(predictions), "every tested utterance has a speaker"
    names = ("fold", "repeat", "order", "speaker", "label", "predicted")
    keys = [name for name in names if name in joined.columns]
    weighted = "weight" in joined.columns
    count = pl.col("weight").sum() if weighted else pl.len().cast(pl.Int32)
    return joined.group_by(keys).agg(count.alias("utterances")).sort(keys)


def prediction_counts(confusions: pl.DataFrame, classes: Sequence[str]) -> PredictionCounts:
    """Return the counts of one experiment and size as an array.

    Speakers without a test utterance are left out.

    Parameters
    ----------
    confusions : DataFrame
        Columns of `confusion_by_speaker`. `fold` and `order` may be absent, if a single fold tests
        all speakers and every repeat has an order to itself.
    classes : sequence of str
        Class names, in the order of the confusion counts.

    Returns
    -------
    PredictionCounts
        The counts, with speakers in alphabetical order.
    """
    speakers = sorted(confusions["speaker"].unique())
    repeats = sorted(confusions["repeat"].unique())
    shape = (len(repeats), len(speakers), len(classes), len(classes))
    counts = np.zeros(shape, float if confusions["utterances"].dtype.is_float() else np.int64)
    indices = tuple(
        confusions[column]
        .replace_strict({value: index for index, value in enumerate(values)}, return_dtype=pl.Int64)
        .to_numpy()
        for column, values in (
            ("repeat", repeats),
            ("speaker", speakers),
            ("label", classes),
            ("predicted", classes),
        )
    )
    np.add.at(counts, indices, confusions["utterances"].to_numpy())
    folds: tuple[str, ...] = ()
    if "fold" in confusions.columns:
        fold_of = fold_of_speaker(confusions)
        folds = tuple(fold_of[speaker] for speaker in speakers)
    orders: tuple[int, ...] = ()
    if "order" in confusions.columns:
        order_of = dict(confusions.select("repeat", "order").unique().iter_rows())
        orders = tuple(order_of[repeat] for repeat in repeats)
    return PredictionCounts(tuple(speakers), counts, folds, orders)


def fold_of_speaker(tested: pl.DataFrame) -> dict[str, str]:
    """Return the fold that tests each speaker, where the folds are units of the variance.

    Folds that test the same speakers, with models of different training corpora, count as one:
    their trainings vary together. If folds share some of their speakers only (custom folds), all
    speakers have one fold: trainings are then treated as shared by all of them, which makes
    intervals too wide rather than too narrow.

    Parameters
    ----------
    tested : DataFrame
        Columns `speaker, fold`, in any number of rows.

    Returns
    -------
    dict of str to str
        The fold by speaker; of several folds, their names joined by `+`.

    Examples
    --------
    >>> tested = pl.DataFrame({"speaker": ["a", "a", "b"], "fold": ["fold1", "fold3", "fold2"]})
    >>> fold_of_speaker(tested)
    {'a': 'fold1+fold3', 'b': 'fold2'}
    """
    pairs = tested.select("speaker", "fold").unique().sort("speaker", "fold")
    joined = pairs.group_by("speaker", maintain_order=True).agg(pl.col("fold").str.join("+"))
    folds_of = pairs.join(joined, on="speaker").select("fold", "fold_right").unique()
    if folds_of["fold"].is_duplicated().any():
        joined = joined.with_columns(fold=pl.lit(_ALL_SPEAKERS))
    return dict(joined.iter_rows())


def counts_by_cell(
    confusions: pl.DataFrame, classes: Sequence[str]
) -> Iterator[tuple[str, str, PredictionCounts]]:
    """Return the counts of each experiment and size of a study.

    Parameters
    ----------
    confusions : DataFrame
        Columns of `confusion_by_speaker`, and `experiment, size`.
    classes : sequence of str
        Class names, in the order of the confusion counts.

    Yields
    ------
    tuple
        Experiment, size and counts.
    """
    for (experiment, size), table in confusions.group_by("experiment", "size", maintain_order=True):
        yield str(experiment), str(size), prediction_counts(table, classes)


def count_predictions(
    predictions: pl.DataFrame, speaker_of: pl.DataFrame, classes: Sequence[str]
) -> PredictionCounts:
    """Count the predictions of one experiment and size over all folds.

    Parameters
    ----------
    predictions : DataFrame
        Columns `utterance, repeat, label, predicted`; `fold` and `order` as in `prediction_counts`,
        `weight` as in `confusion_by_speaker`.
    speaker_of : DataFrame
        Columns `utterance, speaker`.
    classes : sequence of str
        Class names, in the order of the confusion counts.

    Returns
    -------
    PredictionCounts
        The counts.
    """
    return prediction_counts(confusion_by_speaker(predictions, speaker_of), classes)


def bootstrap_speakers(
    speakers: Sequence[str],
    seed: int,
    samples: int = 4000,
    folds: tuple[str, ...] = (_ALL_SPEAKERS,),
) -> SpeakerBootstrap:
    """Draw bootstrap samples of speakers, each with replacement and of the original size.

    Parameters
    ----------
    speakers : sequence of str
        Names of the tested speakers.
    seed : int
        Seed of the random generator.
    samples : int
        Number of bootstrap samples.
    folds : tuple of str
        Names of all folds (`PredictionCounts.fold_names`), whose trainings are resampled.

    Returns
    -------
    SpeakerBootstrap
        The bootstrap samples.
    """
    number = len(speakers)
    generator = np.random.default_rng([seed, 51])
    weights = generator.multinomial(number, np.full(number, 1 / number), samples)
    return SpeakerBootstrap(tuple(speakers), weights.astype(float), seed, folds)


def training_variance_fraction(in_fold: Floats) -> float:
    """Return the fraction of the trainings' variance that scatter between speakers lacks.

    All speakers of a fold are predicted by the same trainings, so the scatter of n speakers
    contains only a part of the trainings' variance. With S, the sum over folds of the squared
    fraction of speakers, (n S - 1) / ((n - 1) S) is missing; for equal folds that is
    (n - folds) / (n - 1): 0 with one speaker per fold, 1 with a single fold.

    Parameters
    ----------
    in_fold : ndarray
        ``[folds, speakers]``, 1 where the fold tests the speaker, else 0.

    Returns
    -------
    float
        The fraction, 0 to 1.

    Examples
    --------
    >>> round(training_variance_fraction(np.repeat(np.eye(5), 2, axis=1)), 3)
    0.556
    """
    speakers = in_fold.shape[1]
    if speakers == 1:
        return 1.0
    squares = float(((in_fold.sum(axis=1) / speakers) ** 2).sum())
    return float(max(0.0, (speakers * squares - 1) / ((speakers - 1) * squares)))


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
    trainings a second time in each speaker.) A sum below 0 or above 1 is set to 0 or 1.

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
        Scores ``[samples]``, 0 to 1.
    """
    assert counts.speakers == bootstrap.speakers, "the bootstrap is of the same speakers"
    confusions = counts.confusions.astype(float)
    of_speakers = np.einsum("ds,rsij->drij", bootstrap.speaker_weights, confusions, optimize=True)
    by_order = np.einsum("or,rsij->osij", counts.order_averaging, confusions, optimize=True)
    by_fold = np.einsum("fs,osij->ofij", counts.in_fold, by_order, optimize=True)
    weights = bootstrap.training_weights(len(by_order), counts)
    of_trainings = np.einsum("dfo,ofij->dij", weights, by_fold, optimize=True)
    original = metric(by_fold.mean(axis=0).sum(axis=0))
    scores: Floats = metric(of_speakers).mean(axis=1) + metric(of_trainings) - original
    return scores.clip(0.0, 1.0)


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
