from __future__ import annotations

import numpy as np
import pytest

from emoscale.evaluation.variance import linearised_contributions, variance_components
from emoscale.training.metrics import Floats

FOLDS = np.repeat(np.eye(5), 2, axis=1)
"""[folds, speakers] five folds of two speakers each."""


def simulate_contributions(
    generator: np.random.Generator,
    orders: int,
    seeds: int,
    speaker: float,
    order: float,
    seed: float,
) -> Floats:
    """Return contributions [repeats, 10]; the two speakers of a fold share its trainings."""
    of_orders = np.repeat(generator.normal(0, order, (orders, 5)), seeds, axis=0)
    of_seeds = generator.normal(0, seed, (orders * seeds, 5))
    contributions: Floats = generator.normal(0, speaker, 10) + (of_orders + of_seeds) @ FOLDS
    return contributions


@pytest.mark.parametrize("speaker", [0.0, 1.0])
def test_total_is_the_variance_of_the_sum(speaker: float) -> None:
    generator = np.random.default_rng(1)
    sums, components = [], []
    for _ in range(4000):
        contributions = simulate_contributions(generator, 3, 2, speaker, order=1.0, seed=0.5)
        sums.append(contributions.mean(axis=0).sum())
        components.append(variance_components(contributions, FOLDS, [0, 0, 1, 1, 2, 2]))
    true_trainings = 5 * 2**2 * (1.0 / 3 + 0.25 / 6)  # five folds, two speakers each
    assert np.mean([each.trainings for each in components]) == pytest.approx(
        true_trainings, rel=0.04
    )
    assert np.mean([each.seeds for each in components]) == pytest.approx(5 * 4 * 0.25 / 6, rel=0.04)
    assert np.var(sums) == pytest.approx(10 * speaker**2 + true_trainings, rel=0.06)
    for name in ("total", "between_folds"):
        assert np.mean([getattr(each, name) for each in components]) == pytest.approx(
            np.var(sums), rel=0.08
        )
    # The variance between speakers lacks 5 / 9 of the trainings' variance.
    between_speakers = np.mean([each.between_speakers for each in components])
    assert between_speakers == pytest.approx(10 * speaker**2 + 4 / 9 * true_trainings, rel=0.06)


def test_one_speaker_per_fold_contains_the_variance_of_trainings() -> None:
    contributions = np.random.default_rng(2).normal(size=(3, 6))
    components = variance_components(contributions, np.eye(6), [0, 1, 2])
    assert (
        components.total == components.between_speakers == pytest.approx(components.between_folds)
    )
    assert components.seeds is None


def test_single_repeat_has_no_variance_of_trainings() -> None:
    components = variance_components(np.arange(10.0)[None], FOLDS, [0])
    assert components.trainings is None
    assert components.seeds is None
    assert components.total == components.between_speakers


def test_single_speaker_has_only_the_variance_of_trainings() -> None:
    components = variance_components(np.array([[0.1], [-0.1]]), np.ones((1, 1)), [0, 1])
    assert components.trainings == pytest.approx(0.02 / 2)
    assert np.isnan([components.between_speakers, components.total]).all()


def test_repeats_of_one_order_have_only_the_variance_of_seeds() -> None:
    contributions = np.array([[1.0, 0.0], [3.0, 0.0]])
    components = variance_components(contributions, np.eye(2), [0, 0])
    # The variance of 1 and 3, over two repeats.
    assert components.trainings == pytest.approx(2.0 / 2)
    assert components.seeds is None


def test_contributions_are_the_derivative_of_ua() -> None:
    """Increasing the weight of a speaker changes UA by that speaker's contribution."""
    generator = np.random.default_rng(3)
    support = generator.integers(2, 30, (6, 4)).astype(float)
    correct = np.floor(generator.uniform(size=(2, 6, 4)) * support)
    contributions = linearised_contributions(correct, support)
    assert contributions.mean(axis=0).sum() == pytest.approx(0.0, abs=1e-12)

    def ua(weights: Floats) -> float:
        return float(((correct.mean(axis=0).T @ weights) / (support.T @ weights)).mean())

    for speaker in range(6):
        weights = np.ones(6)
        weights[speaker] += 1e-6
        slope = (ua(weights) - ua(np.ones(6))) / 1e-6
        assert contributions.mean(axis=0)[speaker] == pytest.approx(slope, abs=1e-6)
