"""Answers counted by speaker, and how a score moves when other speakers and trainings are drawn.

Utterances of one speaker are not independent, so speakers are what is drawn again (a cluster
bootstrap), and beside them each fold's trainings, each with its own order and initialisation.
What covers, and by how much, is in docs/statistics.md.
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
"""From [..., classes, classes] counts (truth, prediction) to [...] scores."""


@dataclass(frozen=True)
class Answers:
    """What the trainings of one experiment and size said about the test utterances of all folds."""

    speakers: tuple[str, ...]
    """In the order of their names."""

    confusions: NDArray[np.int64]
    """[repeats, speakers, classes, classes] counts; the last two: truth, prediction."""

    folds: tuple[str, ...] = ()
    """The fold that tests each speaker; empty: one tests all."""

    orders: tuple[int, ...] = ()
    """The training order of each repeat; empty: each has its own."""

    @property
    def repeats(self) -> int:
        """Trainings a fold."""
        return len(self.confusions)

    @cached_property
    def right(self) -> Floats:
        """[repeats, speakers, classes] right answers."""
        right: Floats = np.diagonal(self.confusions, axis1=2, axis2=3).astype(float)
        return right

    @cached_property
    def there(self) -> Floats:
        """[speakers, classes] test utterances; the same for every repeat."""
        there: Floats = self.confusions[0].sum(axis=2).astype(float)
        return there

    @cached_property
    def in_fold(self) -> Floats:
        """[folds, speakers] 1 where the fold tests the speaker."""
        return fold_members(self.folds or ("all",) * len(self.speakers))

    @cached_property
    def order_means(self) -> Floats:
        """[orders, repeats] weights of the mean over each order's repeats.

        Repeats of one order are told the same, so orders are what varies independently. Where there
        is one order only, each repeat stands for itself: then nothing is known of other orders.
        """
        numbers = np.array(self.orders or range(self.repeats))
        orders = np.unique(numbers)
        if len(orders) == 1:
            return np.eye(self.repeats)
        members = (numbers == orders[:, None]).astype(float)
        means: Floats = members / members.sum(axis=1, keepdims=True)
        return means


@dataclass(frozen=True)
class Draws:
    """Drawn speakers and trainings; the same for all experiments, so that they stay paired."""

    speakers: tuple[str, ...]

    speaker_weights: Floats
    """[draws, speakers]: how often each was drawn."""

    seed: int

    def training_weights(self, trainings: int, folds: int) -> Floats:
        """[draws, folds, trainings] weights that sum to 1: each fold's trainings drawn again.

        Their spread around the mean is scaled by the root of two factors. n / (n - 1), because
        drawing from n values understates their variance by that much, which is half of it for two.
        And (speakers - folds) / (speakers - 1): the share of the trainings' variance that the
        spread of speakers does not show already, because all speakers of a fold hear the same
        trainings (0 where a fold tests one speaker, 1 where one fold tests all).
        """
        draws, speakers = self.speaker_weights.shape
        if trainings == 1 or speakers == folds:
            return np.full((draws, folds, trainings), 1 / trainings)
        generator = np.random.default_rng([self.seed, 52, trainings])
        even = np.full(trainings, 1 / trainings)
        drawn = generator.multinomial(trainings, even, (draws, folds)) / trainings
        factor = trainings / (trainings - 1) * (speakers - folds) / (speakers - 1)
        scaled: Floats = even + np.sqrt(factor) * (drawn - even)
        return scaled


def count_answers(
    predictions: pl.DataFrame, speaker_of: pl.DataFrame, classes: Sequence[str]
) -> Answers:
    """Count one experiment and size's predictions of all folds.

    `predictions` has `utterance, repeat, label, predicted`, and `fold` and `order`, unless one fold
    tests all and each repeat has its own order; `speaker_of` has `utterance, speaker`. Speakers
    without a test utterance are left out. Where a speaker is tested in several folds (given folds
    that share speakers), the folds are left out too: trainings then count as shared by all
    speakers, which makes intervals rather too wide.
    """
    joined = predictions.join(speaker_of.select("utterance", "speaker"), on="utterance")
    assert len(joined) == len(predictions), "every tested utterance has a speaker"
    speakers = sorted(joined["speaker"].unique())
    repeats = sorted(joined["repeat"].unique())
    counted = joined.group_by("repeat", "speaker", "label", "predicted").len()
    confusions = np.zeros((len(repeats), len(speakers), len(classes), len(classes)), np.int64)
    places = [
        [numbers.index(name) for name in counted[column]]
        for column, numbers in (
            ("repeat", repeats),
            ("speaker", speakers),
            ("label", list(classes)),
            ("predicted", list(classes)),
        )
    ]
    confusions[tuple(places)] = counted["len"].to_numpy()
    folds: tuple[str, ...] = ()
    if "fold" in joined.columns:
        pairs = joined.select("speaker", "fold").unique()
        if len(pairs) == len(speakers):
            fold_of = dict(pairs.iter_rows())
            folds = tuple(fold_of[name] for name in speakers)
    orders: tuple[int, ...] = ()
    if "order" in joined.columns:
        order_of = dict(joined.select("repeat", "order").unique().iter_rows())
        orders = tuple(order_of[number] for number in repeats)
    return Answers(tuple(speakers), confusions, folds, orders)


def draw_speakers(speakers: Sequence[str], seed: int, draws: int = 4000) -> Draws:
    """Draw as many speakers as there are, with replacement, `draws` times."""
    number = len(speakers)
    generator = np.random.default_rng([seed, 51])
    weights = generator.multinomial(number, np.full(number, 1 / number), draws)
    return Draws(tuple(speakers), weights.astype(float), seed)


def fold_members(folds: Sequence[str]) -> Floats:
    """[folds, speakers] 1 where the fold, in the order of their names, tests the speaker."""
    names = np.array(folds)
    members: Floats = (names == np.unique(names)[:, None]).astype(float)
    return members


def pooled(answers: Answers, metric: Metric) -> float:
    """A score of all folds pooled, mean over repeats: the point that draws scatter around."""
    return float(metric(answers.confusions.sum(axis=1).astype(float)).mean())


def drawn(answers: Answers, draws: Draws, metric: Metric) -> Floats:
    """[draws] the score under each draw: moved by other speakers, and by other trainings.

    The two moves are added: speakers are drawn with the trainings as they are, trainings with the
    speakers as they are. (One draw of both at once would count the trainings' noise in each
    speaker a second time.)
    """
    assert answers.speakers == draws.speakers, "the draws are of the same speakers"
    confusions = answers.confusions.astype(float)
    of_speakers = np.einsum("ds,rsij->drij", draws.speaker_weights, confusions, optimize=True)
    by_order = np.einsum("or,rsij->osij", answers.order_means, confusions, optimize=True)
    by_fold = np.einsum("fs,osij->ofij", answers.in_fold, by_order, optimize=True)
    weights = draws.training_weights(len(by_order), len(answers.in_fold))
    of_trainings = np.einsum("dfo,ofij->dij", weights, by_fold, optimize=True)
    unmoved = metric(by_fold.mean(axis=0).sum(axis=0))
    values: Floats = metric(of_speakers).mean(axis=1) + metric(of_trainings) - unmoved
    return values


def unweighted_accuracy(answers: Answers) -> float:
    """UA of all folds pooled, mean over repeats."""
    return pooled(answers, unweighted_accuracies)


def drawn_unweighted_accuracy(answers: Answers, draws: Draws) -> Floats:
    """[draws] UA under each draw; the mean of recalls is over the classes that were drawn."""
    return drawn(answers, draws, unweighted_accuracies)


def interval(values: Floats, speakers: int, level: float = 0.95) -> tuple[float, float]:
    """The interval of `level` that drawn values give: expanded percentiles.

    Percentiles of a bootstrap over few speakers are too narrow: the levels are moved outwards to
    what Student's t with `speakers` - 1 degrees of freedom asks for (Hesterberg, "What Teachers
    Should Know About the Bootstrap", 2015, section 5.2). Infinite values are allowed, as of a
    factor beyond the measured range. Of one speaker nothing is known: not a number.
    """
    from scipy import stats  # 0.8 s to import

    if speakers < 2:
        return float("nan"), float("nan")
    wanted = stats.t.ppf((1 + level) / 2, speakers - 1) * np.sqrt(speakers / (speakers - 1))
    tail = float(stats.norm.cdf(-wanted))
    ordered = np.sort(values)
    below = int(np.floor(tail * (len(ordered) - 1)))
    return float(ordered[below]), float(ordered[len(ordered) - 1 - below])
