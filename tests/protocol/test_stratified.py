"""Groups of speakers with similar class proportions."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from emoscale.config.protocol import ProtocolSettings
from emoscale.protocol.folds import fold_groups
from emoscale.protocol.stratified import imbalance, stratified_groups
from tests.protocol.small_corpora import several_corpora


def counts_of(speakers: int, classes: int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return generator.poisson(generator.gamma(2.0, 5.0, size=(speakers, classes))) + 1


def cost(counts: np.ndarray, groups: list[list[int]]) -> float:
    group_of = np.zeros(len(counts), dtype=np.int64)
    for number, group in enumerate(groups):
        group_of[group] = number
    return imbalance(counts / counts.sum(axis=0), group_of, len(groups))


def groups_of_scikit_learn(counts: np.ndarray, groups: int, seed: int) -> list[list[int]]:
    """Test speakers of each fold of scikit-learn's StratifiedGroupKFold."""
    speaker, label = np.divmod(np.arange(counts.size), counts.shape[1])
    speaker, label = np.repeat(speaker, counts.ravel()), np.repeat(label, counts.ravel())
    splitter = StratifiedGroupKFold(groups, shuffle=True, random_state=seed)
    split = splitter.split(np.zeros(len(label)), label, speaker)
    return [sorted({*speaker[tested].tolist()}) for _, tested in split]


@settings(max_examples=20, deadline=None)
@given(st.integers(3, 15), st.integers(1, 4), st.integers(2, 6), st.integers(0, 10_000))
def test_each_speaker_is_in_one_group_and_none_is_empty(
    speakers: int, classes: int, groups: int, seed: int
) -> None:
    groups = min(groups, speakers)
    result = stratified_groups(counts_of(speakers, classes, seed), groups, seed)
    assert sorted(speaker for group in result for speaker in group) == list(range(speakers))
    assert len(result) == groups
    assert all(result)


@pytest.mark.parametrize("seed", range(5))
def test_few_speakers_are_grouped_optimally(seed: int) -> None:
    """Compared with all assignments of seven speakers to three groups."""
    counts = counts_of(7, 3, seed)
    fractions = counts / counts.sum(axis=0)
    candidates = (np.array(c) for c in product(range(3), repeat=7) if len(set(c)) == 3)
    least = min(imbalance(fractions, candidate, 3) for candidate in candidates)
    assert cost(counts, stratified_groups(counts, 3, 1)) == pytest.approx(least, abs=1e-12)


@pytest.mark.parametrize(("speakers", "groups"), [(10, 5), (24, 5), (60, 10)])
def test_less_imbalance_than_scikit_learn(speakers: int, groups: int) -> None:
    for seed in range(3):
        counts = counts_of(speakers, 4, seed)
        ours = cost(counts, stratified_groups(counts, groups, 0))
        theirs = min(cost(counts, groups_of_scikit_learn(counts, groups, n)) for n in range(3))
        assert ours < theirs


def test_folds_use_these_groups() -> None:
    table = several_corpora(5).drop_nulls("label")
    protocol = ProtocolSettings(fold_unit="stratified", folds=4)
    groups = fold_groups(table, protocol, seed=3)
    assert sorted(name for group in groups for name in group) == sorted(table["speaker"].unique())
    assert groups == fold_groups(table.sample(fraction=1.0, shuffle=True, seed=9), protocol, seed=3)
    uneven = table.filter((table["label"] == "anger") | (table["sex"] == "F"))
    proportions = [
        uneven.filter(uneven["speaker"].is_in(group))["label"].value_counts(normalize=True)
        for group in fold_groups(uneven, protocol)
    ]
    angry = [dict(table.iter_rows())["anger"] for table in proportions]
    assert max(angry) - min(angry) < 1e-9
