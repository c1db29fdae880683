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
    sign_flips,
)
from emoscale.evaluation.speakers import Answers
from emoscale.tables.parquet import read_table, write_table

CLASSES = ["anger", "neutral"]
SPEAKERS = tuple("abcdef")


def answers_of(right: list[list[int]], folds: tuple[str, ...] = ()) -> Answers:
    """Of [repeats][speakers] right answers to 10 utterances of anger; neutral is always right."""
    confusions = np.zeros((len(right), len(right[0]), 2, 2), np.int64)
    for repeat, row in enumerate(right):
        for speaker, count in enumerate(row):
            confusions[repeat, speaker] = [[count, 10 - count], [0, 10]]
    return Answers(SPEAKERS[: len(right[0])], confusions, folds)


def test_with_a_speaker_a_fold_it_is_the_paired_t_test_over_speakers() -> None:
    one, other = [[9, 8, 7, 9, 6, 8]], [[5, 7, 4, 6, 6, 5]]
    found = compare(answers_of(one, SPEAKERS), answers_of(other, SPEAKERS), seed=1)
    by_hand = stats.ttest_rel(np.array(one[0]) / 20, np.array(other[0]) / 20)
    assert found.value == pytest.approx(np.mean(np.subtract(one[0], other[0])) / 20)
    assert found.p_value == pytest.approx(by_hand.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(by_hand.confidence_interval()))
    assert found.effect_size == pytest.approx(by_hand.statistic / np.sqrt(6))
    assert found.degrees_of_freedom == 5
    # Signs: of 64 flips, 4 reach the sum (the fifth speaker's difference is 0).
    assert found.p_permutation == 4 / 64


def test_it_does_not_matter_who_stands_first() -> None:
    one, other = answers_of([[9, 8, 7, 9, 6, 8]] * 2), answers_of([[5, 7, 4, 6, 6, 5]] * 2)
    here, there = compare(one, other, seed=1), compare(other, one, seed=1)
    assert (there.value, there.low, there.high) == (-here.value, -here.high, -here.low)
    assert there.p_value == pytest.approx(here.p_value)
    assert (there.effect_low, there.effect_high) == pytest.approx(
        (-(here.effect_high or 0), -(here.effect_low or 0))
    )


def test_what_trainings_add_widens_the_interval() -> None:
    """The same means over repeats, once from repeats that agree, once from others that do not."""
    folds = ("f1", "f1", "f2", "f2", "f3", "f3")
    agreeing = [[8, 6, 7, 5, 9, 8], [8, 6, 7, 5, 9, 7]]
    differing = [[10, 8, 5, 3, 10, 10], [6, 4, 9, 7, 8, 5]]
    other = answers_of([[5, 5, 5, 5, 5, 5], [5, 5, 5, 5, 5, 5]], folds)
    narrow = compare(answers_of(agreeing, folds), other, seed=1)
    wide = compare(answers_of(differing, folds), other, seed=1)
    assert narrow.value == pytest.approx(wide.value)
    assert wide.high - wide.low > 1.5 * (narrow.high - narrow.low)
    assert wide.clusters == "speakers"


def test_where_repeats_do_not_differ_folds_are_the_clusters() -> None:
    folds = ("f1", "f1", "f2", "f2", "f3", "f3")
    one, other = [9, 8, 7, 9, 6, 8], [5, 7, 4, 6, 6, 5]
    for repeats in (1, 2):  # one training, and two of a method that always gives the same
        found = compare(
            answers_of([one] * repeats, folds), answers_of([other] * repeats, folds), seed=1
        )
        by_hand = stats.ttest_1samp(np.subtract(one, other).reshape(3, 2).mean(axis=1), 0.0)
        assert (found.clusters, found.degrees_of_freedom) == ("folds", 2)
        assert found.p_value == pytest.approx(by_hand.pvalue)


def test_alike_experiments_have_p_values_of_one() -> None:
    one = answers_of([[9, 8, 7, 9, 6, 8]])
    found = compare(one, one, seed=1)
    assert (found.value, found.p_value, found.p_permutation, found.effect_size) == (0, 1, 1, 0)
    assert found.effect_low is None


def test_a_difference_without_any_spread_has_the_p_value_of_the_flips() -> None:
    found = compare(answers_of([[9] * 6]), answers_of([[7] * 6]), seed=1)
    assert found.p_value == found.p_permutation == 2 / 64
    assert (found.low, found.high) == pytest.approx((0.1, 0.1))


def test_one_speaker_says_nothing_of_others() -> None:
    """Two repeats of one tested speaker: a difference, but no interval and no winner."""
    one, other = answers_of([[9], [8]], ("f",)), answers_of([[5], [2]], ("f",))
    found = compare(one, other, seed=1)
    assert found.value == pytest.approx(5 / 20)
    assert np.isnan([found.low, found.high]).all()
    assert (found.effect_low, found.effect_high) == (None, None)
    assert (found.p_value, found.p_permutation, found.degrees_of_freedom) == (1.0, 1.0, 0)


def test_the_effects_interval_is_that_of_the_noncentral_t_distribution() -> None:
    one, other = answers_of([[9, 8, 7, 9, 6, 8]]), answers_of([[5, 7, 4, 6, 6, 5]])
    found = compare(one, other, seed=1)
    t = found.effect_size * np.sqrt(6)
    assert found.effect_low is not None
    assert found.effect_high is not None
    assert stats.nct.sf(t, 5, found.effect_low * np.sqrt(6)) == pytest.approx(0.025, abs=1e-4)
    assert stats.nct.cdf(t, 5, found.effect_high * np.sqrt(6)) == pytest.approx(0.025, abs=1e-4)


def test_an_effect_with_hardly_any_spread_has_an_interval_too() -> None:
    many = np.zeros((1, 6, 2, 2), np.int64)
    for speaker in range(6):
        many[0, speaker] = [[10**6 - (speaker == 0), speaker == 0], [0, 10**6]]
    none = np.zeros_like(many)
    none[0, :] = [[0, 10**6], [10**6, 0]]
    found = compare(Answers(SPEAKERS, many), Answers(SPEAKERS, none), seed=1)
    assert found.p_value < 1e-20
    assert found.effect_low is not None
    assert found.effect_high is not None
    assert 0 < found.effect_low < found.effect_size < found.effect_high < np.inf


def test_flips_are_drawn_where_speakers_are_many() -> None:
    generator = np.random.default_rng(1)
    contributions = generator.normal(0.3, 1.0, 14)
    exact = sign_flips(contributions, seed=1)
    drawn = sign_flips(np.append(contributions, 0.0), seed=1)  # a speaker who changes nothing
    assert drawn == pytest.approx(exact, abs=0.015)
    assert sign_flips(np.ones(40), seed=1) == 1 / 20_001


def test_mcnemar_by_hand() -> None:
    one = np.array([True] * 8 + [False] * 2 + [True] * 5)
    other = np.array([False] * 8 + [True] * 2 + [True] * 5)
    assert mcnemar(one, other) == pytest.approx(2 * 56 / 1024)  # (1 + 10 + 45) of 2^10, twice
    assert mcnemar(one, one) == 1.0


def test_holm_as_in_its_paper() -> None:
    # R: p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.005), "holm")
    found = holm(np.array([0.01, 0.02, 0.03, 0.04, 0.005]))
    assert found.tolist() == pytest.approx([0.04, 0.06, 0.06, 0.06, 0.025])
    assert holm(np.array([])).tolist() == []


def study(better: float) -> tuple[pl.DataFrame, pl.DataFrame, pl.DataFrame]:
    """Scores, predictions and speakers of three experiments at two sizes; `good` is better."""
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
        share = 0.6 + (better if name == "good" else 0.0)
        for repeat in range(2):
            right = generator.uniform(size=240) < share
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
                        [CLASSES[number] for number in np.where(right, truth, 1 - truth)]
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


def test_every_pair_at_every_size_that_both_have(tmp_path: Path) -> None:
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
        # The interval of one difference and its own p-value say the same.
        assert (row["difference_low"] > 0 or row["difference_high"] < 0) == (row["p_value"] < 0.05)


def test_one_experiment_has_nothing_to_compare(tmp_path: Path) -> None:
    scores, predictions, speaker_of = study(better=0.0)
    alone = scores.filter(pl.col("experiment") == "late")
    table = comparison_table(alone, predictions, speaker_of, CLASSES, seed=1)
    write_table(table, tmp_path / "comparisons.parquet", COMPARISONS)
    assert table.is_empty()
