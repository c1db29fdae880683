from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from emoscale.config.evidence import TrainedExperiment
from emoscale.evaluation.curves import LearningCurve
from emoscale.evaluation.efficiency import (
    EFFICIENCY,
    efficiency_against,
    efficiency_table,
    hand_engineered_experiments,
    reference_experiment,
    single_size_note,
)
from emoscale.evaluation.published import published_curves
from emoscale.tables.parquet import write_table


def curve(name: str, points: dict[int, float], moves: np.ndarray | None = None) -> LearningCurve:
    """Return a curve whose bootstrap samples are moved by `moves` [samples] or [samples, sizes]."""
    ua = np.array(list(points.values()))
    bootstrap_ua = None if moves is None else ua + moves.reshape(len(moves), -1)
    sizes = tuple(map(str, points))
    return LearningCurve(
        name, sizes, np.array([*points], dtype=float), ua, bootstrap_ua, speakers=10
    )


def row(table: pl.DataFrame, experiment: str, other: str, size: int) -> dict:
    return table.filter(experiment=experiment, other=other, other_size=str(size)).row(0, named=True)


def test_the_published_study_needs_at_least_eight_times_fewer_labels() -> None:
    """Its claim: 125 labels per class with wav2vec beat 1,000 per class without."""
    table = efficiency_table(published_curves())
    hand = "hand-engineered, best set"
    claim = row(table, "wav2vec", hand, 4000)
    assert (claim["bound"], claim["labels"], claim["factor"]) == ("at least", 500.0, 8.0)
    assert claim["at_largest_size"]
    assert claim["summary"] == "at least 8.0 times fewer labels"
    assert claim["factor_low"] is None
    inverse = row(table, hand, "wav2vec", 500)
    assert (inverse["bound"], inverse["labels"], inverse["factor"]) == ("at most", 4000.0, 0.125)
    assert inverse["summary"] == "more than 8.0 times the labels, if ever"


def test_factors_are_interpolated_on_the_curve() -> None:
    table = efficiency_table(
        [curve("few", {100: 0.4, 400: 0.6}), curve("many", {100: 0.3, 400: 0.5, 1600: 0.55})]
    )
    assert row(table, "few", "many", 400)["labels"] == pytest.approx(200.0)
    assert row(table, "few", "many", 400)["factor"] == pytest.approx(2.0)
    assert row(table, "many", "few", 100)["factor"] == pytest.approx(0.5)
    assert row(table, "many", "few", 100)["summary"] == "2.0 times the labels"


def test_factors_beyond_the_measured_range_are_bounds_or_null() -> None:
    table = efficiency_table(
        [curve("short", {100: 0.40, 200: 0.50}), curve("long", {50: 0.30, 100: 0.6, 800: 0.7})]
    )
    below = row(table, "short", "long", 50)  # fewer than 100 labels, compared with 50
    assert (below["bound"], below["factor"]) == ("at least", 0.5)
    assert below["summary"] == "no more than 2.0 times the labels"
    above = row(table, "short", "long", 100)  # more than 200, compared with 100
    assert (above["bound"], above["factor"]) == ("at most", 0.5)
    beyond = row(table, "short", "long", 800)  # more than 200, compared with 800: unknown
    assert (beyond["bound"], beyond["factor"], beyond["labels"]) == ("not reached", None, None)
    assert beyond["summary"] == "not reached with 200 labels"


def test_decreasing_curves_are_made_isotonic() -> None:
    table = efficiency_table(
        [curve("odd", {100: 0.4, 200: 0.6, 400: 0.5}), curve("even", {100: 0.3, 400: 0.55})]
    )
    assert row(table, "odd", "even", 400)["labels"] == pytest.approx(200.0)
    assert row(table, "even", "odd", 400)["ua"] == pytest.approx(0.55)


def test_shared_variation_of_both_curves_does_not_change_the_factor() -> None:
    moves = np.random.default_rng(0).normal(0, 0.03, 500)
    few = curve("few", {100: 0.4, 400: 0.6}, moves)
    many = curve("many", {100: 0.3, 400: 0.5}, moves)
    result = row(efficiency_table([few, many]), "few", "many", 400)
    assert (result["factor_low"], result["factor_high"]) == pytest.approx((2.0, 2.0))
    independent = curve("many", {100: 0.3, 400: 0.5}, moves[::-1])
    result = row(efficiency_table([few, independent]), "few", "many", 400)
    assert result["factor_low"] < 1.5
    assert result["factor_high"] > 2.5


def test_intervals_beyond_the_measured_range_are_unbounded() -> None:
    generator = np.random.default_rng(0)
    few = curve("few", {100: 0.49, 400: 0.6}, generator.normal(0, 0.02, (500, 2)))
    many = curve("many", {100: 0.3, 400: 0.5}, generator.normal(0, 0.001, (500, 2)))
    result = row(efficiency_table([few, many]), "few", "many", 400)
    assert result["bound"] == "measured"
    assert result["factor_high"] == np.inf
    assert 1.0 < result["factor_low"] < 4.0
    assert "and more)" in result["summary"]
    never = row(efficiency_table([many, few]), "many", "few", 400)
    assert (never["factor_low"], never["factor_high"]) == (0.0, 1.0)
    assert never["summary"] == "more labels, if ever (95 % interval of the factor: up to 1.0)"


@pytest.mark.parametrize(
    "ua",
    [
        (0.365, 0.404, 0.403, 0.403, 0.388),  # flat, then falling: logmel on nEMO
        (0.374, 0.440, 0.467, 0.466, 0.456),
        (0.643, 0.616, 0.60, 0.59, 0.58),  # falling throughout
        (0.2, 0.3, 0.4, 0.5, 0.6),
        (0.5, 0.5, 0.5, 0.5, 0.5),
    ],
)
def test_a_curve_needs_as_many_labels_as_its_copy(ua: tuple[float, ...]) -> None:
    noise = np.random.default_rng(0).normal(0, 0.02, (500, 5))
    sizes = dict(zip((100, 200, 400, 800, 1600), ua, strict=True))
    table = efficiency_table([curve("one", sizes, noise), curve("copy", sizes, noise)])
    assert len(table) == 10
    for each in table.to_dicts():
        assert (each["factor"], each["factor_low"], each["factor_high"]) == (1.0, 1.0, 1.0)
        assert each["bound"] == "measured"
        assert each["other_labels"] <= float(each["other_size"])


def test_both_sides_of_a_factor_are_read_off_their_curves() -> None:
    """The curve of `flat` has the UA of its last size already with 100 labels."""
    table = efficiency_table(
        [curve("steep", {25: 0.5, 100: 0.7}), curve("flat", {100: 0.60, 400: 0.62, 3300: 0.58})]
    )
    last = row(table, "steep", "flat", 3300)
    assert last["ua"] == pytest.approx(0.60)
    assert last["other_labels"] == 100
    assert last["factor"] == pytest.approx(2.0)  # not 66
    assert (last["measured_ua"], last["at_largest_size"]) == (0.58, True)
    assert last["summary"].endswith(
        "measured UA of flat at this size: 58.0 %, below its curve (60.0 %)"
    )
    assert "measured UA" not in row(table, "flat", "steep", 100)["summary"]


def test_pairs_can_be_limited_to_some_experiments() -> None:
    curves = [curve(name, {10: 0.4, 20: 0.5}) for name in "abcd"]
    pairs = efficiency_table(curves, ["a"]).select("experiment", "other").unique().rows()
    assert sorted(pairs) == [("a", "b"), ("a", "c"), ("a", "d"), ("b", "a"), ("c", "a"), ("d", "a")]


def test_single_size_has_no_curve_and_is_noted() -> None:
    curves = [curve("fused", {400: 0.7}), curve("grown", {100: 0.5, 400: 0.75})]
    table = efficiency_table(curves)
    assert table.select("experiment", "other").rows() == [("grown", "fused")]
    assert single_size_note(curves).endswith("not counted: fused")
    assert single_size_note(curves[1:]) == ""


def test_single_speaker_has_no_interval() -> None:
    curves = [
        LearningCurve(name, ("1", "2"), np.array([1.0, 2.0]), ua, np.tile(ua, (5, 1)), speakers=1)
        for name, ua in (("a", np.array([0.4, 0.6])), ("b", np.array([0.3, 0.5])))
    ]
    table = efficiency_table(curves)
    assert table["factor_low"].null_count() == len(table)


def test_reference_is_the_best_hand_engineered_experiment() -> None:
    curves = [
        curve("mfcc", {10: 0.5, 100: 0.6}),
        curve("compare", {10: 0.4, 100: 0.65}),
        curve("wav2vec", {10: 0.6, 100: 0.8}),
        curve("fused", {100: 0.9}),
    ]
    experiments = {
        name: TrainedExperiment(representations=[{"kind": kind}], model={"kind": "pooled"})
        for name, kind in (("mfcc", "mfcc"), ("compare", "opensmile"), ("wav2vec", "wav2vec"))
    }
    names = hand_engineered_experiments(experiments)
    assert names == {"mfcc", "compare"}
    ranking = ["fused", "wav2vec", "compare", "mfcc"]
    assert reference_experiment(curves, ranking, names, None) == "compare"
    assert reference_experiment(curves, ranking, names, "wav2vec") == "wav2vec"
    assert reference_experiment(curves, ranking, set(), None) == "mfcc"
    assert reference_experiment(curves[3:], ranking, names, None) is None


def test_each_experiment_has_the_better_measured_row_against_the_reference() -> None:
    table = efficiency_table(
        [
            curve("reference", {100: 0.4, 400: 0.6}),
            curve("better", {100: 0.5, 400: 0.7}),
            curve("far", {100: 0.65, 400: 0.9}),
            curve("worse", {100: 0.3, 400: 0.5}),
            curve("fused", {400: 0.8}),
        ]
    )
    rows = {row["experiment"]: row for row in efficiency_against(table, "reference").to_dicts()}
    assert list(rows) == ["better", "far", "worse", "fused"]
    selected = {name: (row["counted"], row["bound"], row["factor"]) for name, row in rows.items()}
    assert selected["better"] == ("better", "measured", pytest.approx(2.0))
    assert selected["far"] == ("far", "at least", pytest.approx(4.0))
    # The reference reaches the UA of `worse` with half the labels, and never that of `fused`.
    assert selected["worse"] == ("reference", "measured", pytest.approx(0.5))
    assert selected["fused"] == ("reference", "at least", pytest.approx(1.0))


def test_intervals_are_inverted_with_the_factor() -> None:
    generator = np.random.default_rng(0)
    best = curve("best", {100: 0.4, 400: 0.6}, generator.normal(0, 0.01, (500, 2)))
    worse = curve("worse", {100: 0.3, 400: 0.5}, generator.normal(0, 0.01, (500, 2)))
    table = efficiency_table([best, worse])
    direct = row(table, "best", "worse", 400)
    (inverse,) = efficiency_against(table, "best").to_dicts()
    assert inverse["factor_low"] == pytest.approx(1 / direct["factor_high"])
    assert inverse["factor_high"] == pytest.approx(1 / direct["factor_low"])


def test_infinite_ends_match_the_schema(tmp_path: Path) -> None:
    few = curve("few", {100: 0.6, 400: 0.7}, np.zeros(10))
    many = curve("many", {100: 0.3, 400: 0.5}, np.zeros(10))
    table = efficiency_table([few, many])
    assert row(table, "few", "many", 400)["factor_high"] == np.inf
    write_table(table, tmp_path / "efficiency.parquet", EFFICIENCY)
