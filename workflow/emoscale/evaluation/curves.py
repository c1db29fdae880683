"""Learning curves as they were measured, and how they move when speakers are drawn again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from emoscale.evaluation.speakers import (
    count_answers,
    draw_speakers,
    drawn_unweighted_accuracy,
    unweighted_accuracy,
)
from emoscale.training.metrics import Floats


@dataclass(frozen=True)
class Curve:
    """UA of one experiment at growing numbers of labels; of a publication, without draws."""

    experiment: str

    sizes: tuple[str, ...]
    """What the sizes are called, by their labels."""

    labels: Floats
    """[sizes] labels learned from, mean over folds; they grow."""

    ua: Floats
    """[sizes] unweighted accuracy, 0 to 1."""

    drawn: Floats | None = None
    """[draws, sizes] UA under each draw; the same draws for all curves of a study."""

    speakers: int = 0
    """Tested speakers: what was drawn."""

    @property
    def has_growth(self) -> bool:
        """Whether it is a curve at all: two different numbers of labels or more."""
        return bool(self.labels[-1] > self.labels[0])

    def first(self, sizes: int) -> Curve:
        """The curve without its sizes after the first `sizes`."""
        drawn = None if self.drawn is None else self.drawn[:, :sizes]
        return Curve(
            self.experiment,
            self.sizes[:sizes],
            self.labels[:sizes],
            self.ua[:sizes],
            drawn,
            self.speakers,
        )


def measured_curves(
    scores: pl.DataFrame,
    predictions: pl.DataFrame,
    speaker_of: pl.DataFrame,
    seed: int,
    draws: int = 4000,
) -> list[Curve]:
    """The curve of each experiment of a study, in the order of `scores`.

    `predictions` are those of the study with a probability a class (`p_<class>`); `speaker_of` has
    `utterance, speaker`. Each draw is of speakers and repeats and holds for every experiment and
    size, so that whatever is computed from several curves is paired.
    """
    classes = [name.removeprefix("p_") for name in predictions.columns if name.startswith("p_")]
    by_cell = predictions.partition_by("experiment", "size", as_dict=True)
    found = None
    curves = []
    for (experiment,), rows in scores.group_by("experiment", maintain_order=True):
        ordered = rows.sort("training_utterances_mean", maintain_order=True)
        points, moved = [], []
        for size in ordered["size"]:
            answers = count_answers(by_cell[experiment, size], speaker_of, classes)
            found = found or draw_speakers(answers.speakers, seed, draws)
            points.append(unweighted_accuracy(answers))
            moved.append(drawn_unweighted_accuracy(answers, found))
        assert found is not None, "an experiment has a size"
        curves.append(
            Curve(
                str(experiment),
                tuple(ordered["size"]),
                ordered["training_utterances_mean"].to_numpy(),
                np.array(points),
                np.stack(moved, axis=1),
                len(found.speakers),
            )
        )
    return curves


def increasing(ua: Floats) -> Floats:
    """Isotonic regression: of the curves that never fall, the nearest to each row of [..., sizes].

    Where measured UA falls with more labels, the points involved get their mean. Computed for all
    rows at once by the max-min formula (Robertson, Wright & Dykstra, "Order Restricted Statistical
    Inference", 1988, section 1.4); the same as scikit-learn's `isotonic_regression`.

    >>> increasing(np.array([0.4, 0.6, 0.5])).round(2).tolist()
    [0.4, 0.55, 0.55]
    """
    sizes = ua.shape[-1]
    sums = np.concatenate([np.zeros((*ua.shape[:-1], 1)), np.cumsum(ua, axis=-1)], axis=-1)
    fitted = np.full(ua.shape, -np.inf)
    for place in range(sizes):
        for begin in range(place + 1):
            counts = np.arange(place + 1 - begin, sizes + 1 - begin)
            means = (sums[..., place + 1 :] - sums[..., begin, None]) / counts
            fitted[..., place] = np.maximum(fitted[..., place], means.min(axis=-1))
    # Equal values differ in their last bit, by the way they were summed.
    rounded: Floats = np.round(fitted, 12)
    return rounded


def labels_needed(
    labels: Sequence[float] | Floats, fitted: Floats, ua: Floats
) -> tuple[Floats, Floats]:
    """Bounds [rows] on the fewest labels at which each of [rows, sizes] curves has a UA of [rows].

    `fitted` never falls (see `increasing`); between two sizes it is a line over the logarithm of
    the labels. Within the curve both bounds are the same; below its first point they are 0 and its
    fewest labels, above its last its most labels and infinity.
    """
    numbers = np.asarray(labels, dtype=float)
    logs = np.log(numbers)
    sizes = len(logs)
    after = (fitted < ua[:, None]).sum(axis=1)  # the first size that has it
    rows = np.arange(len(ua))
    upper = np.clip(after, 1, sizes - 1)
    lower = upper - 1
    rise = fitted[rows, upper] - fitted[rows, lower]
    share = np.divide(ua - fitted[rows, lower], rise, out=np.zeros(len(ua)), where=rise > 0)
    between = np.exp(logs[lower] + share.clip(0.0, 1.0) * (logs[upper] - logs[lower]))
    at_first = ua == fitted[:, 0]
    between = np.where(at_first, numbers[0], between)
    below = (after == 0) & ~at_first
    beyond = after == sizes
    least = np.where(below, 0.0, np.where(beyond, numbers[-1], between))
    most = np.where(below, numbers[0], np.where(beyond, np.inf, between))
    return least, most
