"""Studies whose truth is known: answers of trainings that never were, to speakers that never spoke.

A class is recognised by the highest of its scores. What moves the scores: how good the experiment
is; the speaker (alike for all experiments, and a part for each); the training, whose taste for some
classes all speakers of its fold share; the utterance (alike for all experiments, in part).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from emoscale.evaluation.speakers import Answers
from emoscale.training.metrics import Floats, accuracies, macro_f1s, unweighted_accuracies

CLASSES = 4
METRICS = {"UA": unweighted_accuracies, "WA": accuracies, "macro-F1": macro_f1s}


@dataclass(frozen=True)
class SimulatedStudy:
    """The size of a study and what moves its scores; by default about as in the demo study.

    There the UA of speakers scatters by 6 to 7 points, that of repeats by 2 to 2.5, and an interval
    of a difference reaches 6.5 to 8.5 points to each side.
    """

    strengths: tuple[float, ...]
    """How much higher the true class scores, of each experiment and size; 0: shuffled labels."""

    repeats: int = 2
    seeds_per_order: int = 1
    speakers: int = 10
    folds: int = 5

    utterances: tuple[int, int] = (40, 90)
    """Fewest and most of a speaker."""

    shares: tuple[float, ...] = (0.2, 0.12, 0.4, 0.28)
    """Of the classes."""

    evenness: float = 30.0
    """How alike the speakers' own shares are (concentration of a Dirichlet distribution)."""

    speaker_deviation: float = 0.25
    """Of how well a speaker is recognised, and of the speaker's bias for each class."""

    own_deviation: float = 0.15
    """The part of it that is each experiment's own."""

    training_deviation: float = 0.25
    """Of a training's bias for a class, and of its taste for one class where another is true."""

    order_share: float = 0.5
    """Of a training's variance, what it owes to its order."""

    shared_noise: float = 0.6
    """Of an utterance's variance, what all trainings hear."""


def simulate(study: SimulatedStudy, seed: Sequence[int]) -> list[Answers]:
    """What the trainings of each of `strengths` answered."""
    fold_of = np.repeat(np.arange(study.folds), study.speakers // study.folds)
    assert len(fold_of) == study.speakers, "folds are even"
    confusions = _confusions(study, np.random.default_rng(seed), fold_of)
    return [
        Answers(
            tuple(f"s{number:02d}" for number in range(study.speakers)),
            own,
            tuple(f"fold{number}" for number in fold_of),
            tuple(repeat // study.seeds_per_order for repeat in range(study.repeats)),
        )
        for own in confusions
    ]


def truth(study: SimulatedStudy, speakers: int = 20_000) -> dict[str, Floats]:
    """[strengths] the scores that an endless study would have, by metric."""
    return _truth(replace(study, repeats=1, seeds_per_order=1, folds=1), speakers)


@cache
def _truth(study: SimulatedStudy, speakers: int) -> dict[str, Floats]:
    generator = np.random.default_rng(0)
    confusions = sum(
        _confusions(study, generator, np.arange(1000)).sum(axis=2)[:, 0]
        for _ in range(speakers // 1000)
    )
    return {name: metric(np.asarray(confusions, float)) for name, metric in METRICS.items()}


def _confusions(
    study: SimulatedStudy, generator: np.random.Generator, fold_of: np.ndarray
) -> np.ndarray:
    """[strengths, repeats, speakers, classes, classes] counts."""
    strengths = np.array(study.strengths)
    known = (strengths > 0).astype(float)  # who knows nothing knows no speaker better
    number, repeats, folds = len(strengths), study.repeats, int(fold_of.max()) + 1
    biases = _of_trainings(study, generator, (number, folds), (CLASSES,))
    tastes = _of_trainings(study, generator, (number, folds), (CLASSES, CLASSES))
    counts = np.zeros((number, repeats, len(fold_of), CLASSES, CLASSES), np.int64)
    cells, trainings = np.arange(number)[:, None, None], np.arange(repeats)[None, :, None]
    for speaker, fold in enumerate(fold_of):
        utterances = generator.integers(*study.utterances)
        label = generator.choice(
            CLASSES, utterances, p=generator.dirichlet(np.array(study.shares) * study.evenness)
        )
        ease = generator.normal(0, study.speaker_deviation)
        own_ease = generator.normal(0, study.own_deviation, number)
        bias = generator.normal(0, study.speaker_deviation, CLASSES)
        own_bias = generator.normal(0, study.own_deviation, (number, CLASSES))
        heard = generator.normal(0, 1, (utterances, CLASSES))
        own_heard = generator.normal(0, 1, (number, repeats, utterances, CLASSES))
        scores = np.sqrt(study.shared_noise) * heard + np.sqrt(1 - study.shared_noise) * own_heard
        scores += (bias + own_bias)[:, None, None] + biases[:, fold, :, None]
        scores += tastes[:, fold][:, :, label]
        strength = strengths + known * (ease + own_ease)
        scores[:, :, np.arange(utterances), label] += strength[:, None, None]
        said = scores.argmax(axis=-1)
        np.add.at(counts[:, :, speaker], (cells, trainings, label[None, None], said), 1)
    return counts


def _of_trainings(
    study: SimulatedStudy,
    generator: np.random.Generator,
    outer: tuple[int, ...],
    inner: tuple[int, ...],
) -> Floats:
    """[*outer, repeats, *inner] deviations, of orders and of their seeds."""
    orders = study.repeats // study.seeds_per_order
    of_orders = generator.normal(0, np.sqrt(study.order_share), (*outer, orders, *inner))
    of_seeds = generator.normal(0, np.sqrt(1 - study.order_share), (*outer, study.repeats, *inner))
    deviations: Floats = study.training_deviation * (
        np.repeat(of_orders, study.seeds_per_order, axis=len(outer)) + of_seeds
    )
    return deviations
