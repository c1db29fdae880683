from __future__ import annotations

import numpy as np
import pytest

from emoscale.evaluation.variance import linearised, variance_of
from emoscale.training.metrics import Floats

FOLDS = np.repeat(np.eye(5), 2, axis=1)
"""Five folds of two speakers each."""


def simulated(
    generator: np.random.Generator,
    orders: int,
    seeds: int,
    speaker: float,
    order: float,
    seed: float,
) -> Floats:
    """[repeats, 10] contributions; trainings are shared by the two speakers of a fold."""
    of_orders = np.repeat(generator.normal(0, order, (orders, 5)), seeds, axis=0)
    of_seeds = generator.normal(0, seed, (orders * seeds, 5))
    contributions: Floats = generator.normal(0, speaker, 10) + (of_orders + of_seeds) @ FOLDS
    return contributions


@pytest.mark.parametrize("speaker", [0.0, 1.0])
def test_the_total_is_what_the_sum_really_varies_by(speaker: float) -> None:
    generator = np.random.default_rng(1)
    sums, found = [], []
    for _ in range(4000):
        contributions = simulated(generator, 3, 2, speaker, order=1.0, seed=0.5)
        sums.append(contributions.mean(axis=0).sum())
        found.append(variance_of(contributions, FOLDS, [0, 0, 1, 1, 2, 2]))
    true_trainings = 5 * 2**2 * (1.0 / 3 + 0.25 / 6)  # five folds, two speakers each
    assert np.mean([each.trainings for each in found]) == pytest.approx(true_trainings, rel=0.04)
    assert np.mean([each.seeds for each in found]) == pytest.approx(5 * 4 * 0.25 / 6, rel=0.04)
    assert np.var(sums) == pytest.approx(10 * speaker**2 + true_trainings, rel=0.06)
    for name in ("total", "between_folds"):
        assert np.mean([getattr(each, name) for each in found]) == pytest.approx(
            np.var(sums), rel=0.08
        )
    # The spread of speakers alone misses 5 / 9 of the trainings' share.
    naive = np.mean([each.between_speakers for each in found])
    assert naive == pytest.approx(10 * speaker**2 + 4 / 9 * true_trainings, rel=0.06)


def test_a_speaker_a_fold_shows_all_of_the_trainings_share() -> None:
    contributions = np.random.default_rng(2).normal(size=(3, 6))
    found = variance_of(contributions, np.eye(6), [0, 1, 2])
    assert found.total == found.between_speakers == pytest.approx(found.between_folds)
    assert found.seeds is None


def test_one_repeat_says_nothing_of_trainings() -> None:
    found = variance_of(np.arange(10.0)[None], FOLDS, [0])
    assert found.trainings is None
    assert found.seeds is None
    assert found.total == found.between_speakers


def test_one_speaker_shows_trainings_only() -> None:
    found = variance_of(np.array([[0.1], [-0.1]]), np.ones((1, 1)), [0, 1])
    assert found.trainings == pytest.approx(0.02 / 2)
    assert np.isnan([found.between_speakers, found.total]).all()


def test_repeats_of_one_order_show_its_seeds_only() -> None:
    contributions = np.array([[1.0, 0.0], [3.0, 0.0]])
    found = variance_of(contributions, np.eye(2), [0, 0])
    assert found.trainings == pytest.approx(2.0 / 2)  # the variance of 1 and 3, of two repeats
    assert found.seeds is None


def test_linearised_contributions_are_uas_derivative() -> None:
    """One more like a speaker, a little, moves UA as that speaker's contribution says."""
    generator = np.random.default_rng(3)
    there = generator.integers(2, 30, (6, 4)).astype(float)
    right = np.floor(generator.uniform(size=(2, 6, 4)) * there)
    found = linearised(right, there)
    assert found.mean(axis=0).sum() == pytest.approx(0.0, abs=1e-12)

    def ua(weights: Floats) -> float:
        return float(((right.mean(axis=0).T @ weights) / (there.T @ weights)).mean())

    for speaker in range(6):
        more = np.ones(6)
        more[speaker] += 1e-6
        slope = (ua(more) - ua(np.ones(6))) / 1e-6
        assert found.mean(axis=0)[speaker] == pytest.approx(slope, abs=1e-6)
