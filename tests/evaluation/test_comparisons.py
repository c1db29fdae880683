from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from scipy import stats

from emoscale.evaluation.comparisons import (
    COMPARISONS,
    COMPARISONS_BY_SIZE,
    Differences,
    StudyValues,
    comparison_table,
    comparison_table_by_size,
    holm,
    power,
    rank_experiments,
)
from emoscale.evaluation.comparisons import compare as compare_values
from emoscale.evaluation.speakers import PredictionCounts, counts_by_cell
from emoscale.evaluation.variance import jackknife_values
from emoscale.tables.parquet import read_table, write_table

CLASSES = ["anger", "neutral"]
SPEAKERS = tuple("abcdef")
FOLDS = ("f1", "f1", "f2", "f2", "f3", "f3")


def counts_of(correct: list[list[int]], folds: tuple[str, ...] = ()) -> PredictionCounts:
    """Return counts from numbers of correct predictions of anger, [repeats][speakers].

    Every speaker has 10 utterances of each class; neutral is always correct.
    """
    confusions = np.zeros((len(correct), len(correct[0]), 2, 2), np.int64)
    for repeat, row in enumerate(correct):
        for speaker, count in enumerate(row):
            confusions[repeat, speaker] = [[count, 10 - count], [0, 10]]
    return PredictionCounts(SPEAKERS[: len(correct[0])], confusions, folds)


def compare(counts: PredictionCounts, other_counts: PredictionCounts) -> Differences:
    """Compare two experiments at one size."""
    values = jackknife_values(counts) - jackknife_values(other_counts)
    return compare_values(values, counts.in_fold, counts.orders or range(counts.repeats))


def test_one_speaker_per_fold_is_the_paired_t_test_over_speakers() -> None:
    correct, other_correct = [9, 8, 7, 9, 6, 8], [5, 7, 4, 6, 6, 5]
    difference = compare(counts_of([correct], SPEAKERS), counts_of([other_correct], SPEAKERS))
    expected = stats.ttest_rel(np.array(correct) / 20, np.array(other_correct) / 20)
    assert difference.value == pytest.approx(np.mean(np.subtract(correct, other_correct)) / 20)
    assert difference.p_value == pytest.approx(expected.pvalue)
    assert (difference.low, difference.high) == pytest.approx(tuple(expected.confidence_interval()))
    assert difference.effect_size == pytest.approx(expected.statistic / np.sqrt(6))
    assert difference.degrees_of_freedom == 5


def test_comparison_is_antisymmetric() -> None:
    counts, other_counts = counts_of([[9, 8, 7, 9, 6, 8]] * 2), counts_of([[5, 7, 4, 6, 6, 5]] * 2)
    difference = compare(counts, other_counts)
    reverse = compare(other_counts, counts)
    assert (reverse.value, reverse.low, reverse.high) == (
        -difference.value,
        -difference.high,
        -difference.low,
    )
    assert reverse.p_value == pytest.approx(difference.p_value)
    assert reverse.effect_size == -difference.effect_size


def test_variance_of_trainings_widens_the_interval() -> None:
    """Equal means over repeats, from similar and from different repeats."""
    similar = [[8, 6, 7, 5, 9, 8], [8, 6, 7, 5, 9, 7]]
    different = [[10, 8, 5, 3, 10, 10], [6, 4, 9, 7, 8, 5]]
    other_counts = counts_of([[5, 5, 5, 5, 5, 5], [5, 5, 5, 5, 5, 6]], FOLDS)
    narrow = compare(counts_of(similar, FOLDS), other_counts)
    wide = compare(counts_of(different, FOLDS), other_counts)
    assert narrow.value == pytest.approx(wide.value)
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)
    assert not wide.by_folds


@pytest.mark.parametrize("repeats", range(1, 11))
def test_copies_of_the_same_predictions_change_nothing(repeats: int) -> None:
    """The mean of n equal numbers may be rounded, so only counts show that they are equal."""
    correct, other_correct = [9, 8, 7, 9, 6, 8], [5, 7, 4, 6, 6, 5]
    expected = stats.ttest_1samp(
        np.subtract(correct, other_correct).reshape(3, 2).mean(axis=1), 0.0
    )
    difference = compare(
        counts_of([correct] * repeats, FOLDS), counts_of([other_correct] * repeats, FOLDS)
    )
    assert difference.by_folds
    assert difference.degrees_of_freedom == 2
    assert difference.p_value == pytest.approx(expected.pvalue)


def test_folds_are_the_clusters_if_only_one_of_the_two_has_different_repeats() -> None:
    """The repeats of a deterministic method do not show what its trainings vary."""
    network = counts_of([[9, 8, 7, 9, 6, 8], [8, 8, 7, 9, 6, 7]], FOLDS)
    estimator = counts_of([[5, 7, 4, 6, 6, 5]] * 2, FOLDS)
    assert compare(network, estimator).by_folds
    assert compare(estimator, network).degrees_of_freedom == 2


def test_identical_experiments_have_p_values_of_one() -> None:
    counts = counts_of([[9, 8, 7, 9, 6, 8]])
    difference = compare(counts, counts)
    assert difference.value == 0
    assert difference.p_value == 1
    assert np.isnan(difference.effect_size)


def test_differences_without_variance_have_the_p_value_of_the_sign_test() -> None:
    difference = compare(counts_of([[9] * 6]), counts_of([[7] * 6]))
    assert difference.p_value == 2 / 64
    assert (difference.low, difference.high) == pytest.approx((0.1, 0.1))


def test_single_speaker_has_no_interval_and_no_significance() -> None:
    """Two repeats of one tested speaker."""
    difference = compare(counts_of([[9], [8]], ("f",)), counts_of([[5], [2]], ("f",)))
    assert difference.value == pytest.approx(5 / 20)
    assert np.isnan([difference.low, difference.high, difference.standard_error]).all()
    assert difference.p_value == 1.0
    assert difference.degrees_of_freedom == 0


def test_intervals_are_never_beyond_one() -> None:
    folds = ("a", "b", "c")
    difference = compare(counts_of([[10, 10, 0]], folds), counts_of([[0, 0, 0]], folds))
    assert difference.high <= 1.0
    assert difference.low >= -1.0


def test_power_is_the_rejection_rate_of_the_t_test() -> None:
    generator = np.random.default_rng(1)
    speakers, difference, deviation = 10, 0.1, 0.12
    samples = generator.normal(difference, deviation, (20_000, speakers))
    p_values = stats.ttest_1samp(samples, 0.0, axis=1).pvalue
    error = np.array([deviation / np.sqrt(speakers)])
    freedom = np.array([speakers - 1])
    for family in (1, 20):
        rate = (p_values < 0.05 / family).mean()
        assert power(difference, error, freedom, family) == pytest.approx(rate, abs=0.015)


def test_holm_matches_r() -> None:
    # R: p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.005), "holm")
    corrected = holm(np.array([0.01, 0.02, 0.03, 0.04, 0.005]))
    assert corrected.tolist() == pytest.approx([0.04, 0.06, 0.06, 0.06, 0.025])
    assert holm(np.array([])).tolist() == []


CELLS = [("good", "10"), ("poor", "10"), ("good", "all"), ("poor", "all"), ("late", "all")]


def study(
    better: float, cells: list[tuple[str, str]] = CELLS, speakers: int = 8, shared: bool = False
) -> StudyValues:
    """Return a study of three experiments at two sizes, in folds of two speakers.

    The accuracy of `good` is higher by `better`. If `shared`, a training is equally good or bad at
    all sizes.
    """
    generator = np.random.default_rng(5)
    confusions = []
    for name, size in cells:
        accuracy = 0.6 + (better if name == "good" else 0.0)
        for repeat in range(2):
            effect = 0.1 * (2 * repeat - 1) if shared else 0.0
            for speaker in range(speakers):
                for label, other in (CLASSES, CLASSES[::-1]):
                    correct = generator.binomial(15, accuracy + effect)
                    key = (name, size, f"fold{speaker // 2}", repeat, repeat, f"s{speaker}", label)
                    confusions += [(*key, label, correct), (*key, other, 15 - correct)]
    names = ["experiment", "size", "fold", "repeat", "order", "speaker", "label", "predicted"]
    table = pl.DataFrame(confusions, [*names, "utterances"], orient="row")
    return StudyValues(scores_of(cells), counts_by_cell(table, CLASSES))


def scores_of(cells: list[tuple[str, str]] = CELLS) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "experiment": [name for name, _ in cells],
            "size": [size for _, size in cells],
            "training_utterances_mean": [10.0 if size == "10" else 80.0 for _, size in cells],
            "ua": [0.5 + 0.01 * number for number in range(len(cells))],
        }
    )


def written(
    table: pl.DataFrame, path: Path, reference: str | None = None
) -> Iterator[dict[str, Any]]:
    write_table(table, path, COMPARISONS)
    return read_table(path, COMPARISONS).iter_rows(named=True)


def test_one_comparison_a_pair_over_the_sizes_that_both_have(tmp_path: Path) -> None:
    rows = list(written(comparison_table(study(better=0.3)), tmp_path / "comparisons.parquet"))
    assert [(row["experiment"], row["other"], row["sizes"], row["winner"]) for row in rows] == [
        ("good", "poor", "10 all", "good"),
        ("good", "late", "all", "good"),
        ("poor", "late", "all", "none"),
    ]
    assert {row["family"] for row in rows} == {3}
    by_size = {
        (row["size"], row["experiment"], row["other"]): row
        for row in comparison_table_by_size(study(better=0.3)).to_dicts()
    }
    mean = np.mean([by_size[size, "good", "poor"]["difference"] for size in ("10", "all")])
    assert rows[0]["difference"] == pytest.approx(mean)
    for row in rows:
        assert row["difference"] == pytest.approx(row["ua"] - row["other_ua"])
        assert row["difference_low"] < row["difference"] < row["difference_high"]
        assert row["p_value"] <= row["p_holm"] <= min(1, 3 * row["p_value"])
        # The interval excludes 0 exactly if the uncorrected p-value is below 0.05.
        assert (row["difference_low"] > 0 or row["difference_high"] < 0) == (row["p_value"] < 0.05)


def test_each_repeat_is_averaged_over_the_sizes_first() -> None:
    """What the nested training subsets of a repeat share does not become smaller by averaging."""
    cells = [(name, size) for name in ("good", "poor") for size in ("10", "all")]
    independent, shared = (
        comparison_table(study(0.0, cells, shared=shared))["standard_error"][0]
        for shared in (False, True)
    )
    assert shared < 1.3 * independent  # `good` and `poor` share it too: it cancels
    values = study(0.0, cells, shared=True)
    single = values.values.select((slice(None), 0)).by_training
    averaged = values.values.mean(axis=1).by_training
    # Independent trainings would halve the variance over repeats.
    assert averaged.var(axis=1).mean() > 0.7 * single.var(axis=1).mean()


def test_a_declared_reference_is_the_only_family(tmp_path: Path) -> None:
    table = comparison_table(study(better=0.3), reference="late")
    rows = list(written(table, tmp_path / "comparisons.parquet"))
    families = {(row["experiment"], row["other"]): row["family"] for row in rows}
    assert families == {("good", "poor"): None, ("good", "late"): 2, ("poor", "late"): 2}
    outside = rows[0]
    assert (outside["p_holm"], outside["winner"]) == (None, None)
    assert outside["p_value"] < 0.05  # it stays described
    assert rows[1]["winner"] == "good"


def test_rows_by_size_describe(tmp_path: Path) -> None:
    table = comparison_table_by_size(study(better=0.3))
    write_table(table, tmp_path / "by_size.parquet", COMPARISONS_BY_SIZE)
    rows = read_table(tmp_path / "by_size.parquet", COMPARISONS_BY_SIZE).to_dicts()
    assert [(row["size"], row["experiment"], row["other"], row["labels"]) for row in rows] == [
        ("10", "good", "poor", 10.0),
        ("all", "good", "poor", 80.0),
        ("all", "good", "late", 80.0),
        ("all", "poor", "late", 80.0),
    ]


def test_no_pair_without_a_common_size(tmp_path: Path) -> None:
    cells = [("good", "10"), ("late", "all")]
    for cells_of_study in (cells, cells[:1]):
        values = study(0.0, cells_of_study)
        assert list(written(comparison_table(values), tmp_path / "comparisons.parquet")) == []
        write_table(comparison_table_by_size(values), tmp_path / "b.parquet", COMPARISONS_BY_SIZE)


def test_many_pairs_are_compared_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = comparison_table(study(better=0.1))
    monkeypatch.setattr("emoscale.evaluation.comparisons._VALUES_AT_ONCE", 1)
    assert comparison_table(study(better=0.1)).equals(whole)


def test_experiments_rank_by_the_whole_learning_curve() -> None:
    """`late` has the highest UA at its largest size, but is behind `good` at the size of both."""
    table = comparison_table(study(better=0.3))
    assert rank_experiments(table, scores_of())[0] == "good"
    single = comparison_table(study(0.0, CELLS[:1]))
    assert rank_experiments(single, scores_of(CELLS[:1])) == ["good"]
