"""Simulated studies with a known true score: predictions of test utterances by speaker.

An utterance is assigned to the class with the highest class score. Class scores depend on the
quality of the experiment; the speaker (partly shared by all experiments); the training, whose
biases are shared by all speakers of its fold; and the utterance (partly shared by all trainings).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from emoscale.evaluation.speakers import PredictionCounts
from emoscale.training.metrics import Floats, accuracies, macro_f1s, unweighted_accuracies

CLASSES = 4
METRICS = {"UA": unweighted_accuracies, "WA": accuracies, "macro-F1": macro_f1s}


@dataclass(frozen=True)
class SimulatedStudy:
    """Size of a study and the variances of its class scores; the defaults resemble the demo study.

    In the demo study the UA of speakers has a standard deviation of 6 to 7 points and that of
    repeats of 2 to 2.5, and the interval of a difference extends 6.5 to 8.5 points to each side.
    """

    separations: tuple[float, ...]
    """Advantage of the true class's score, of each experiment and size; 0: shuffled labels."""

    repeats: int = 2
    seeds_per_order: int = 1
    speakers: int = 10
    folds: int = 5

    fold_sizes: tuple[int, ...] | None = None
    """Numbers of speakers of uneven folds; None: all folds have the same."""

    first_speaker_fraction: float | None = None
    """Fraction of all utterances that are of the first speaker; None: as of the others."""

    utterances: tuple[int, int] = (40, 90)
    """Smallest and largest number of utterances per speaker."""

    class_proportions: tuple[float, ...] = (0.2, 0.12, 0.4, 0.28)
    """Expected proportions of the classes."""

    concentration: float = 30.0
    """Concentration of the Dirichlet distribution of the speakers' class proportions."""

    speaker_std: float = 0.25
    """Standard deviation of a speaker's separation, and of the speaker's bias for each class."""

    experiment_std: float = 0.15
    """Standard deviation of the same quantities by speaker and experiment."""

    training_std: float = 0.25
    """Standard deviation of a training's bias for each class, and for each class given the true
    class."""

    order_fraction: float = 0.5
    """Fraction of a training's variance that is shared by the trainings of its order."""

    shared_noise_fraction: float = 0.6
    """Fraction of an utterance's variance that is shared by all trainings."""


def simulate(study: SimulatedStudy, seed: Sequence[int]) -> list[PredictionCounts]:
    """Return simulated prediction counts of each experiment and size (`separations`)."""
    sizes = study.fold_sizes or (study.speakers // study.folds,) * study.folds
    fold_of = np.repeat(np.arange(len(sizes)), sizes)
    assert len(fold_of) == study.speakers, "every speaker is in a fold"
    confusions = _confusions(study, np.random.default_rng(seed), fold_of)
    return [
        PredictionCounts(
            tuple(f"s{number:02d}" for number in range(study.speakers)),
            confusions_of_experiment,
            tuple(f"fold{number}" for number in fold_of),
            tuple(repeat // study.seeds_per_order for repeat in range(study.repeats)),
        )
        for confusions_of_experiment in confusions
    ]


def true_scores(study: SimulatedStudy, speakers: int = 20_000) -> dict[str, Floats]:
    """Return the scores [separations] of a very large study, by metric."""
    large = replace(
        study,
        repeats=1,
        seeds_per_order=1,
        folds=1,
        fold_sizes=None,
        first_speaker_fraction=None,
    )
    return _true_scores(large, speakers)


@cache
def _true_scores(study: SimulatedStudy, speakers: int) -> dict[str, Floats]:
    generator = np.random.default_rng(0)
    confusions = sum(
        _confusions(study, generator, np.arange(1000)).sum(axis=2)[:, 0]
        for _ in range(speakers // 1000)
    )
    return {name: metric(np.asarray(confusions, float)) for name, metric in METRICS.items()}


def _confusions(
    study: SimulatedStudy, generator: np.random.Generator, fold_of: np.ndarray
) -> np.ndarray:
    """Simulate counts [separations, repeats, speakers, classes, classes]."""
    separations = np.array(study.separations)
    informed = (separations > 0).astype(float)  # without separation speakers do not differ
    number, repeats, folds = len(separations), study.repeats, int(fold_of.max()) + 1
    class_biases = _training_effects(study, generator, (number, folds), (CLASSES,))
    confusion_biases = _training_effects(study, generator, (number, folds), (CLASSES, CLASSES))
    counts = np.zeros((number, repeats, len(fold_of), CLASSES, CLASSES), np.int64)
    cells, trainings = np.arange(number)[:, None, None], np.arange(repeats)[None, :, None]
    for speaker, fold in enumerate(fold_of):
        utterances = int(generator.integers(*study.utterances))
        if speaker == 0 and study.first_speaker_fraction is not None:
            others = sum(study.utterances) / 2 * (study.speakers - 1)
            fraction = study.first_speaker_fraction
            utterances = round(others * fraction / (1 - fraction))
        proportions = generator.dirichlet(np.array(study.class_proportions) * study.concentration)
        label = generator.choice(CLASSES, utterances, p=proportions)
        speaker_separation = generator.normal(0, study.speaker_std)
        experiment_separation = generator.normal(0, study.experiment_std, number)
        speaker_bias = generator.normal(0, study.speaker_std, CLASSES)
        experiment_bias = generator.normal(0, study.experiment_std, (number, CLASSES))
        shared_noise = generator.normal(0, 1, (utterances, CLASSES))
        training_noise = generator.normal(0, 1, (number, repeats, utterances, CLASSES))
        scores = (
            np.sqrt(study.shared_noise_fraction) * shared_noise
            + np.sqrt(1 - study.shared_noise_fraction) * training_noise
        )
        scores += (speaker_bias + experiment_bias)[:, None, None] + class_biases[:, fold, :, None]
        scores += confusion_biases[:, fold][:, :, label]
        separation = separations + informed * (speaker_separation + experiment_separation)
        scores[:, :, np.arange(utterances), label] += separation[:, None, None]
        predicted = scores.argmax(axis=-1)
        np.add.at(counts[:, :, speaker], (cells, trainings, label[None, None], predicted), 1)
    return counts


def _training_effects(
    study: SimulatedStudy,
    generator: np.random.Generator,
    outer: tuple[int, ...],
    inner: tuple[int, ...],
) -> Floats:
    """Draw random effects [*outer, repeats, *inner] of training orders and their seeds."""
    orders = study.repeats // study.seeds_per_order
    of_orders = generator.normal(0, np.sqrt(study.order_fraction), (*outer, orders, *inner))
    of_seeds = generator.normal(
        0, np.sqrt(1 - study.order_fraction), (*outer, study.repeats, *inner)
    )
    effects: Floats = study.training_std * (
        np.repeat(of_orders, study.seeds_per_order, axis=len(outer)) + of_seeds
    )
    return effects
