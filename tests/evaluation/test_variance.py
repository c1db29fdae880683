from __future__ import annotations

import numpy as np
import pytest

from emoscale.evaluation.speakers import PredictionCounts, training_variance_fraction
from emoscale.evaluation.variance import (
    JackknifeValues,
    VarianceComponents,
    jackknife_values,
    stack,
    variance_components,
)
from emoscale.training.metrics import Floats, unweighted_accuracies

FOLDS = np.repeat(np.eye(5), 2, axis=1)
"""[folds, speakers] five folds of two speakers each."""


def values_of(contributions: Floats, in_fold: Floats) -> JackknifeValues:
    """Return the values of a mean over speakers of contributions [repeats, speakers]."""
    mean = contributions.mean(axis=0)
    speakers = len(mean)
    without_fold = [mean[fold == 0].mean() if (fold == 0).any() else np.nan for fold in in_fold]
    return JackknifeValues(
        mean.mean(),
        (mean.sum() - mean) / max(speakers - 1, 1),
        np.array(without_fold),
        contributions @ in_fold.T / speakers,
        np.array(False),
    )


def components_of(contributions: Floats, in_fold: Floats, orders: list[int]) -> VarianceComponents:
    return variance_components(values_of(contributions, in_fold), in_fold, orders)


def simulate_contributions(
    generator: np.random.Generator,
    orders: int,
    seeds: int,
    speaker: float,
    order: float,
    seed: float,
    in_fold: Floats = FOLDS,
) -> Floats:
    """Return contributions [repeats, speakers]; the speakers of a fold share its trainings."""
    folds, speakers = in_fold.shape
    of_orders = np.repeat(generator.normal(0, order, (orders, folds)), seeds, axis=0)
    of_seeds = generator.normal(0, seed, (orders * seeds, folds))
    of_trainings: Floats = (of_orders + of_seeds) @ in_fold
    return generator.normal(0, speaker, speakers) + of_trainings


@pytest.mark.parametrize("speaker", [0.0, 1.0])
def test_total_is_the_variance_of_the_mean(speaker: float) -> None:
    generator = np.random.default_rng(1)
    means, components = [], []
    for _ in range(4000):
        contributions = simulate_contributions(generator, 3, 2, speaker, order=1.0, seed=0.5)
        means.append(contributions.mean())
        components.append(components_of(contributions, FOLDS, [0, 0, 1, 1, 2, 2]))
    true_trainings = (1.0 / 3 + 0.25 / 6) / 5  # five folds
    assert np.mean([each.trainings for each in components]) == pytest.approx(
        true_trainings, rel=0.04
    )
    assert np.mean([each.seeds for each in components]) == pytest.approx(0.25 / 6 / 5, rel=0.04)
    assert np.var(means) == pytest.approx(speaker**2 / 10 + true_trainings, rel=0.06)
    for name in ("total", "between_folds"):
        assert np.mean([getattr(each, name) for each in components]) == pytest.approx(
            np.var(means), rel=0.08
        )
    # The variance between speakers lacks 5 / 9 of the trainings' variance.
    between_speakers = np.mean([each.between_speakers for each in components])
    assert between_speakers == pytest.approx(speaker**2 / 10 + 4 / 9 * true_trainings, rel=0.06)


@pytest.mark.parametrize("sizes", [(6, 1, 1, 1, 1), (16, 2, 2), (5, 5)])
def test_total_is_the_variance_of_the_mean_with_uneven_folds(sizes: tuple[int, ...]) -> None:
    in_fold = np.repeat(np.eye(len(sizes)), sizes, axis=1)
    generator = np.random.default_rng(2)
    means, totals = [], []
    for _ in range(4000):
        contributions = simulate_contributions(generator, 3, 1, 0.5, 1.0, 0.0, in_fold)
        means.append(contributions.mean())
        totals.append(components_of(contributions, in_fold, [0, 1, 2]).total)
    assert np.mean(totals) == pytest.approx(np.var(means), rel=0.06)


def test_fraction_of_the_trainings_variance() -> None:
    assert training_variance_fraction(FOLDS) == pytest.approx(5 / 9)
    assert training_variance_fraction(np.eye(7)) == 0.0
    assert training_variance_fraction(np.ones((1, 4))) == 1.0
    assert training_variance_fraction(np.ones((1, 1))) == 1.0
    uneven = np.repeat(np.eye(5), (6, 1, 1, 1, 1), axis=1)
    assert training_variance_fraction(uneven) == pytest.approx(5 / 6)


def test_one_speaker_per_fold_contains_the_variance_of_trainings() -> None:
    contributions = np.random.default_rng(2).normal(size=(3, 6))
    components = components_of(contributions, np.eye(6), [0, 1, 2])
    assert components.total == pytest.approx(components.between_speakers)
    assert components.total == pytest.approx(components.between_folds)
    assert components.seeds is None


def test_single_repeat_has_no_variance_of_trainings() -> None:
    components = components_of(np.arange(10.0)[None], FOLDS, [0])
    assert components.trainings == 0
    assert components.seeds is None
    assert components.total == components.between_speakers


def test_single_speaker_has_only_the_variance_of_trainings() -> None:
    components = components_of(np.array([[0.1], [-0.1]]), np.ones((1, 1)), [0, 1])
    assert components.trainings == pytest.approx(0.02 / 2)
    assert np.isnan([components.between_speakers, components.total]).all()


def test_repeats_of_one_order_have_only_the_variance_of_seeds() -> None:
    contributions = 2 * np.array([[1.0, 0.0], [3.0, 0.0]])
    components = components_of(contributions, np.eye(2), [0, 0])
    # The variance of 1 and 3, over two repeats.
    assert components.trainings == pytest.approx(2.0 / 2)
    assert components.seeds is None


def random_counts(generator: np.random.Generator, repeats: int = 2) -> PredictionCounts:
    confusions = generator.integers(1, 20, (repeats, 6, 3, 3))
    confusions[:, :, :, 0] += confusions[:1].sum(axis=-1) - confusions.sum(axis=-1) + 40
    return PredictionCounts(tuple("abcdef"), confusions, ("f", "f", "g", "g", "h", "h"))


def test_values_are_those_of_studies_without_a_speaker_or_a_fold() -> None:
    counts = random_counts(np.random.default_rng(3))
    values = jackknife_values(counts)

    def ua(selected: list[int]) -> Floats:
        confusions = counts.confusions[:, selected].sum(axis=1).astype(float)
        return np.asarray(unweighted_accuracies(confusions).mean())

    everyone = list(range(6))
    assert values.ua == pytest.approx(ua(everyone))
    for speaker in everyone:
        others = [each for each in everyone if each != speaker]
        assert values.without_speaker[speaker] == pytest.approx(ua(others))
    for fold in range(3):
        others = [each for each in everyone if each // 2 != fold]
        assert values.without_fold[fold] == pytest.approx(ua(others))
    by_repeat = unweighted_accuracies(counts.confusions.sum(axis=1).astype(float))
    assert values.by_training.sum(axis=-1) == pytest.approx(by_repeat)


def test_values_of_a_class_of_one_speaker_leave_the_class_out() -> None:
    confusions = np.zeros((1, 2, 2, 2), np.int64)
    confusions[0, 0] = [[3, 1], [2, 2]]
    confusions[0, 1, 0] = [4, 0]  # the second speaker has only the first class
    values = jackknife_values(PredictionCounts(("a", "b"), confusions))
    assert values.without_speaker == pytest.approx([1.0, (3 / 4 + 2 / 4) / 2])


def test_differences_of_several_experiments_at_once() -> None:
    generator = np.random.default_rng(4)
    counts = [random_counts(generator) for _ in range(3)]
    values = stack([jackknife_values(each) for each in counts])
    together = variance_components(
        values.select([0, 0]) - values.select([1, 2]), counts[0].in_fold, [0, 1]
    )
    for number in (1, 2):
        alone = variance_components(
            jackknife_values(counts[0]) - jackknife_values(counts[number]),
            counts[0].in_fold,
            [0, 1],
        )
        assert together.total[number - 1] == pytest.approx(alone.total)
