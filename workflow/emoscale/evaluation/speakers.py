"""Answers counted by speaker, and how a score moves when other speakers and trainings are drawn.

Utterances of one speaker are not independent, so speakers are what is drawn again (a cluster
bootstrap), and with them the repeats, each with its own order and initialisation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from emoscale.evaluation.metrics import confusion_matrix

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """What the trainings of one experiment and size said about the test utterances of all folds."""

    speakers: tuple[str, ...]
    """In the order of their names."""

    confusions: NDArray[np.int64]
    """[repeats, speakers, classes, classes] counts; the last two: truth, prediction."""

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


@dataclass(frozen=True)
class Draws:
    """Drawn speakers and repeats; the same for all experiments, so that comparisons are paired."""

    speakers: tuple[str, ...]

    speaker_weights: Floats
    """[draws, speakers]: how often each was drawn."""

    seed: int

    def repeat_weights(self, repeats: int) -> Floats:
        """[draws, repeats] weights that sum to 1: of trainings drawn again with replacement.

        Their spread around the mean is widened by √(n / (n - 1)), because drawing from n values
        understates their variance by that much, which is half of it for two repeats.
        """
        draws = len(self.speaker_weights)
        if repeats == 1:
            return np.ones((draws, 1))
        generator = np.random.default_rng([self.seed, 52, repeats])
        drawn = generator.multinomial(repeats, np.full(repeats, 1 / repeats), draws) / repeats
        widened: Floats = 1 / repeats + np.sqrt(repeats / (repeats - 1)) * (drawn - 1 / repeats)
        return widened


def count_answers(
    predictions: pl.DataFrame, speaker_of: pl.DataFrame, classes: Sequence[str]
) -> Answers:
    """Count one experiment and size's predictions of all folds.

    `predictions` has `utterance, repeat, label, predicted`; `speaker_of` has `utterance, speaker`.
    Speakers without a test utterance are left out.
    """
    joined = predictions.join(speaker_of.select("utterance", "speaker"), on="utterance")
    assert len(joined) == len(predictions), "every tested utterance has a speaker"
    speakers = tuple(sorted(joined["speaker"].unique()))
    repeats = sorted(joined["repeat"].unique())
    place = {name: number for number, name in enumerate(classes)}
    row = {name: number for number, name in enumerate(speakers)}
    confusions = np.zeros((len(repeats), len(speakers), len(classes), len(classes)), np.int64)
    for (repeat, speaker), own in joined.group_by("repeat", "speaker"):
        truth = [place[label] for label in own["label"]]
        said = [place[label] for label in own["predicted"]]
        confusions[repeats.index(repeat), row[str(speaker)]] = confusion_matrix(
            truth, said, len(classes)
        )
    return Answers(speakers, confusions)


def draw_speakers(speakers: Sequence[str], seed: int, draws: int = 4000) -> Draws:
    """Draw as many speakers as there are, with replacement, `draws` times."""
    number = len(speakers)
    generator = np.random.default_rng([seed, 51])
    weights = generator.multinomial(number, np.full(number, 1 / number), draws)
    return Draws(tuple(speakers), weights.astype(float), seed)


def unweighted_accuracy(answers: Answers) -> float:
    """UA of all folds pooled, mean over repeats: the point that draws scatter around."""
    recalls = _ratio(answers.right.sum(axis=1), answers.there.sum(axis=0))
    return float(np.nanmean(recalls, axis=1).mean())


def drawn_unweighted_accuracy(answers: Answers, draws: Draws) -> Floats:
    """[draws] UA under each draw; the mean of recalls is over the classes that were drawn."""
    assert answers.speakers == draws.speakers, "the draws are of the same speakers"
    weights = draws.speaker_weights
    right = np.einsum("ds,rsc->drc", weights, answers.right)
    recalls = _ratio(right, (weights @ answers.there)[:, None, :])
    by_repeat = np.nanmean(recalls, axis=2)
    return np.asarray((by_repeat * draws.repeat_weights(answers.repeats)).sum(axis=1))


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


def _ratio(part: Floats, whole: Floats) -> Floats:
    """part / whole, not a number where there is nothing."""
    part, whole = np.broadcast_arrays(part, whole)
    ratio: Floats = np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)
    return ratio
