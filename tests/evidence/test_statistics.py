"""A short form of `make evidence`: fewer studies, so wider limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.evidence.shuffled_study import shuffled_comparisons
from tests.evidence.simulate_statistics import (
    ALIKE,
    EXPERIMENTS,
    SIZES,
    USUAL,
    coverage,
    winners,
)
from tests.evidence.simulated_study import simulate, truth


def test_the_truth_is_where_a_large_study_ends() -> None:
    large = replace(USUAL, speakers=2000, folds=2000, repeats=1)
    measured = [each.right[0].sum(axis=0) / each.there.sum(axis=0) for each in simulate(large, [1])]
    ua = np.array(measured).mean(axis=1)
    assert ua == pytest.approx(truth(USUAL)["UA"], abs=0.01)


def test_intervals_hold_the_truth() -> None:
    found = coverage(USUAL, simulations=40)
    for what, share in found.items():
        # Of 120 intervals of three experiments, which are not independent.
        assert share >= 0.85, what


def test_no_winner_where_there_is_none() -> None:
    for strengths in ALIKE.values():
        study = replace(USUAL, strengths=strengths * EXPERIMENTS * SIZES)
        declared, alone, _ = winners(study, simulations=25)
        assert declared <= 0.12
        assert alone <= 0.1


def test_studies_trained_on_shuffled_labels_name_no_winner() -> None:
    for seed in range(3):
        table = shuffled_comparisons(seed)
        assert len(table) == 12
        assert set(table["winner"]) == {"none"}
        assert abs(table["ua"].to_numpy() - 0.25).max() < 0.12
