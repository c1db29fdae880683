"""A shorter form of `make evidence`, with fewer simulated studies and wider limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.evidence.shuffled_study import shuffled_comparisons
from tests.evidence.simulate_statistics import (
    DEFAULT_STUDY,
    EQUAL,
    EQUAL_SEPARATIONS,
    EXPERIMENTS,
    LADDER,
    SIZES,
    STUDIES,
    coverage,
    large_study_rates,
    winner_rates,
)
from tests.evidence.simulated_study import simulate, true_scores


def test_large_studies_have_the_true_scores() -> None:
    large = replace(DEFAULT_STUDY, speakers=2000, folds=2000, repeats=1)
    recalls = [
        counts.correct[0].sum(axis=0) / counts.support.sum(axis=0)
        for counts in simulate(large, [1])
    ]
    ua = np.array(recalls).mean(axis=1)
    assert ua == pytest.approx(true_scores(DEFAULT_STUDY)["UA"], abs=0.01)


def test_intervals_cover_the_true_scores() -> None:
    for name, rate in coverage(DEFAULT_STUDY, simulations=40).items():
        # 120 intervals of three experiments, which are not independent.
        assert rate >= 0.85, name


def test_no_winner_without_a_true_difference() -> None:
    for separations in EQUAL_SEPARATIONS.values():
        study = replace(DEFAULT_STUDY, separations=separations * EXPERIMENTS * SIZES)
        named, uncorrected, _ = winner_rates(study, simulations=25)
        assert named <= 0.12
        assert uncorrected <= 0.1


def test_a_whole_curve_finds_what_single_sizes_do_not() -> None:
    """Twenty experiments at five sizes, ten speakers, on a ladder over 20 points."""
    rates = large_study_rates(LADDER, simulations=20)
    assert rates["pairs and sizes"][1] < 0.25
    assert rates["pairs"][1] > 0.5
    assert rates["pairs with a reference"][1] > 0.85


def test_no_false_winner_of_many_experiments() -> None:
    for false_winners, _ in large_study_rates(EQUAL, simulations=40).values():
        assert false_winners <= 0.125


@pytest.mark.parametrize("name", ["one speaker has half", "folds of 6, 1, 1, 1, 1"])
def test_intervals_of_uneven_studies_cover_the_true_difference(name: str) -> None:
    assert coverage(STUDIES[name], simulations=40)["difference, compared"] >= 0.88


def test_studies_trained_on_shuffled_labels_name_no_winner() -> None:
    for seed in range(3):
        curves, by_size = shuffled_comparisons(seed)
        assert (len(curves), len(by_size)) == (6, 12)
        assert set(curves["winner"]) == {"none"}
        assert abs(by_size["ua"].to_numpy() - 0.25).max() < 0.12
