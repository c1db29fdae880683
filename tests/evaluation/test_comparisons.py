from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy import stats

from emoscale.evaluation.comparisons import (
    COMPARISONS,
    compare,
    comparison_table,
    holm,
    mcnemar,
    sign_flip_test,
)
from emoscale.evaluation.speakers import PredictionCounts
from emoscale.tables.parquet import read_table, write_table

CLASSES = ["anger", "neutral"]
SPEAKERS = tuple("abcdef")


def counts_of(correct: list[list[int]], folds: tuple[str, ...] = ()) -> PredictionCounts:
    """Return counts from numbers of correct predictions of anger, [repeats][speakers].

    Every speaker has 10 utterances of each class; neutral is always correct.
    """
    confusions = np.zeros((len(correct), len(correct[0]), 2, 2), np.int64)
    for repeat, row in enumerate(correct):
        for speaker, count in enumerate(row):
            confusions[repeat, speaker] = [[count, 10 - count], [0, 10]]
    return PredictionCounts(SPEAKERS[: len(correct[0])], confusions, folds)


def test_one_speaker_per_fold_is_the_paired_t_test_over_speakers() -> None:
    correct, other_correct = [9, 8, 7, 9, 6, 8], [5, 7, 4, 6, 6, 5]
    difference = compare(
        counts_of([correct], SPEAKERS), counts_of([other_correct], SPEAKERS), seed=1
    )
    expected = stats.ttest_rel(np.array(correct) / 20, np.array(other_correct) / 20)
    assert difference.value == pytest.approx(np.mean(np.subtract(correct, other_correct)) / 20)
    assert difference.p_value == pytest.approx(expected.pvalue)
    assert (difference.low, difference.high) == pytest.approx(tuple(expected.confidence_interval()))
    assert difference.effect_size == pytest.approx(expected.statistic / np.sqrt(6))
    assert difference.degrees_of_freedom == 5
    # 4 of 64 sign flips reach the sum (the fifth speaker's difference is 0).
    assert difference.p_permutation == 4 / 64


def test_comparison_is_antisymmetric() -> None:
    counts, other_counts = counts_of([[9, 8, 7, 9, 6, 8]] * 2), counts_of([[5, 7, 4, 6, 6, 5]] * 2)
    difference = compare(counts, other_counts, seed=1)
    reverse = compare(other_counts, counts, seed=1)
    assert (reverse.value, reverse.low, reverse.high) == (
        -difference.value,
        -difference.high,
        -difference.low,
    )
    assert reverse.p_value == pytest.approx(difference.p_value)
    assert (reverse.effect_low, reverse.effect_high) == pytest.approx(
        (-(difference.effect_high or 0), -(difference.effect_low or 0))
    )


def test_variance_of_trainings_widens_the_interval() -> None:
    """Equal means over repeats, from similar and from different repeats."""
    folds = ("f1", "f1", "f2", "f2", "f3", "f3")
    similar = [[8, 6, 7, 5, 9, 8], [8, 6, 7, 5, 9, 7]]
    different = [[10, 8, 5, 3, 10, 10], [6, 4, 9, 7, 8, 5]]
    other_counts = counts_of([[5, 5, 5, 5, 5, 5], [5, 5, 5, 5, 5, 5]], folds)
    narrow = compare(counts_of(similar, folds), other_counts, seed=1)
    wide = compare(counts_of(different, folds), other_counts, seed=1)
    assert narrow.value == pytest.approx(wide.value)
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)
    assert wide.clusters == "speakers"


def test_folds_are_the_clusters_if_repeats_are_identical() -> None:
    folds = ("f1", "f1", "f2", "f2", "f3", "f3")
    correct, other_correct = [9, 8, 7, 9, 6, 8], [5, 7, 4, 6, 6, 5]
    for repeats in (1, 2):  # a single training, and two of a deterministic method
        difference = compare(
            counts_of([correct] * repeats, folds),
            counts_of([other_correct] * repeats, folds),
            seed=1,
        )
        expected = stats.ttest_1samp(
            np.subtract(correct, other_correct).reshape(3, 2).mean(axis=1), 0.0
        )
        assert (difference.clusters, difference.degrees_of_freedom) == ("folds", 2)
        assert difference.p_value == pytest.approx(expected.pvalue)


def test_identical_experiments_have_p_values_of_one() -> None:
    counts = counts_of([[9, 8, 7, 9, 6, 8]])
    difference = compare(counts, counts, seed=1)
    assert (difference.value, difference.effect_size) == (0, 0)
    assert (difference.p_value, difference.p_permutation) == (1, 1)
    assert difference.effect_low is None


def test_differences_without_variance_have_the_permutation_p_value() -> None:
    difference = compare(counts_of([[9] * 6]), counts_of([[7] * 6]), seed=1)
    assert difference.p_value == difference.p_permutation == 2 / 64
    assert (difference.low, difference.high) == pytest.approx((0.1, 0.1))


def test_single_speaker_has_no_interval_and_no_significance() -> None:
    """Two repeats of one tested speaker."""
    counts, other_counts = counts_of([[9], [8]], ("f",)), counts_of([[5], [2]], ("f",))
    difference = compare(counts, other_counts, seed=1)
    assert difference.value == pytest.approx(5 / 20)
    assert np.isnan([difference.low, difference.high]).all()
    assert (difference.effect_low, difference.effect_high) == (None, None)
    assert (difference.p_value, difference.p_permutation) == (1.0, 1.0)
    assert difference.degrees_of_freedom == 0


def test_effect_interval_is_that_of_the_noncentral_t_distribution() -> None:
    counts, other_counts = counts_of([[9, 8, 7, 9, 6, 8]]), counts_of([[5, 7, 4, 6, 6, 5]])
    difference = compare(counts, other_counts, seed=1)
    t = difference.effect_size * np.sqrt(6)
    assert difference.effect_low is not None
    assert difference.effect_high is not None
    assert stats.nct.sf(t, 5, difference.effect_low * np.sqrt(6)) == pytest.approx(0.025, abs=1e-4)
    assert stats.nct.cdf(t, 5, difference.effect_high * np.sqrt(6)) == pytest.approx(
        0.025, abs=1e-4
    )


def test_effect_interval_with_very_small_variance() -> None:
    high = np.zeros((1, 6, 2, 2), np.int64)
    for speaker in range(6):
        high[0, speaker] = [[10**6 - (speaker == 0), speaker == 0], [0, 10**6]]
    zero = np.zeros_like(high)
    zero[0, :] = [[0, 10**6], [10**6, 0]]
    difference = compare(PredictionCounts(SPEAKERS, high), PredictionCounts(SPEAKERS, zero), seed=1)
    assert difference.p_value < 1e-20
    assert difference.effect_low is not None
    assert difference.effect_high is not None
    assert 0 < difference.effect_low < difference.effect_size < difference.effect_high < np.inf


def test_random_flips_for_many_speakers() -> None:
    generator = np.random.default_rng(1)
    contributions = generator.normal(0.3, 1.0, 14)
    exact = sign_flip_test(contributions, seed=1)
    random = sign_flip_test(np.append(contributions, 0.0), seed=1)  # a speaker without effect
    assert random == pytest.approx(exact, abs=0.015)
    assert sign_flip_test(np.ones(40), seed=1) == 1 / 20_001


def test_mcnemar_by_hand() -> None:
    correct = np.array([True] * 8 + [False] * 2 + [True] * 5)
    other_correct = np.array([False] * 8 + [True] * 2 + [True] * 5)
    assert mcnemar(correct, other_correct) == pytest.approx(2 * 56 / 1024)  # 2 (1 + 10 + 45) / 2^10
    assert mcnemar(correct, correct) == 1.0


def test_holm_matches_r() -> None:
    # R: p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.005), "holm")
    corrected = holm(np.array([0.01, 0.02, 0.03, 0.04, 0.005]))
    assert corrected.tolist() == pytest.approx([0.04, 0.06, 0.06, 0.06, 0.025])
    assert holm(np.array([])).tolist() == []


def study(better: float) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Return scores, predictions and speakers of three experiments at two sizes.

    The accuracy of `good` is higher by `better`.
    """
    generator = np.random.default_rng(5)
    speaker_of = pl.DataFrame(
        {
            "utterance": [f"u{n:03d}" for n in range(240)],
            "speaker": [f"s{n % 8}" for n in range(240)],
        }
    )
    cells = [("good", "10"), ("poor", "10"), ("good", "all"), ("poor", "all"), ("late", "all")]
    predictions = []
    for name, size in cells:
        accuracy = 0.6 + (better if name == "good" else 0.0)
        for repeat in range(2):
            correct = generator.uniform(size=240) < accuracy
            truth = np.arange(240) // 8 % 2
            predictions.append(
                speaker_of.select(
                    "utterance",
                    experiment=pl.lit(name),
                    size=pl.lit(size),
                    repeat=pl.lit(repeat),
                    order=pl.lit(repeat),
                    fold=pl.lit("fold")
                    + pl.col("speaker").str.slice(1).cast(pl.Int32).floordiv(2).cast(pl.String),
                    label=pl.Series([CLASSES[number] for number in truth]),
                    predicted=pl.Series(
                        [CLASSES[number] for number in np.where(correct, truth, 1 - truth)]
                    ),
                )
            )
    scores = pl.DataFrame(
        {
            "experiment": [name for name, _ in cells],
            "size": [size for _, size in cells],
            "training_utterances_mean": [10.0 if size == "10" else 80.0 for _, size in cells],
        }
    )
    return scores, pl.concat(predictions), speaker_of


def test_all_pairs_at_every_common_size(tmp_path: Path) -> None:
    table = comparison_table(*study(better=0.3), CLASSES, seed=1)
    write_table(table, tmp_path / "comparisons.parquet", COMPARISONS)
    rows = read_table(tmp_path / "comparisons.parquet", COMPARISONS).to_dicts()
    assert [(row["size"], row["experiment"], row["other"], row["winner"]) for row in rows] == [
        ("10", "good", "poor", "good"),
        ("all", "good", "poor", "good"),
        ("all", "good", "late", "good"),
        ("all", "poor", "late", "none"),
    ]
    assert {row["family"] for row in rows} == {4}
    for row in rows:
        assert row["difference"] == pytest.approx(row["ua"] - row["other_ua"])
        assert row["difference_low"] < row["difference"] < row["difference_high"]
        assert row["p_value"] <= row["p_holm"] <= min(1, 4 * row["p_value"])
        # The interval excludes 0 exactly if the uncorrected p-value is below 0.05.
        assert (row["difference_low"] > 0 or row["difference_high"] < 0) == (row["p_value"] < 0.05)


def test_single_experiment_has_no_comparisons(tmp_path: Path) -> None:
    scores, predictions, speaker_of = study(better=0.0)
    single_experiment = scores.filter(pl.col("experiment") == "late")
    table = comparison_table(single_experiment, predictions, speaker_of, CLASSES, seed=1)
    write_table(table, tmp_path / "comparisons.parquet", COMPARISONS)
    assert table.is_empty()
