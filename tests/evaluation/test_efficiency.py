from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from emoscale.config.evidence import TrainedExperiment
from emoscale.evaluation.curves import Curve
from emoscale.evaluation.efficiency import (
    EFFICIENCY,
    against,
    efficiency_table,
    hand_engineered,
    reference_of,
    without_curve,
)
from emoscale.evaluation.published import study_curves
from emoscale.tables.parquet import write_table


def curve(name: str, points: dict[int, float], moves: np.ndarray | None = None) -> Curve:
    """With draws that move every point by `moves` [draws], or [draws, sizes]."""
    ua = np.array(list(points.values()))
    drawn = None if moves is None else ua + moves.reshape(len(moves), -1)
    sizes = tuple(map(str, points))
    return Curve(name, sizes, np.array([*points], dtype=float), ua, drawn, speakers=10)


def row(table: pl.DataFrame, experiment: str, other: str, size: int) -> dict:
    return table.filter(experiment=experiment, other=other, other_size=str(size)).row(0, named=True)


def test_the_published_study_needs_at_least_eight_times_fewer_labels() -> None:
    """Its claim: 125 labels a class with wav2vec beat 1,000 a class without."""
    table = efficiency_table(study_curves())
    hand = "hand-engineered, best set"
    claim = row(table, "wav2vec", hand, 4000)
    assert (claim["bound"], claim["labels"], claim["factor"]) == ("at least", 500.0, 8.0)
    assert claim["at_largest_size"]
    assert claim["summary"] == "at least 8.0 times fewer labels"
    assert claim["factor_low"] is None
    turned = row(table, hand, "wav2vec", 500)
    assert (turned["bound"], turned["labels"], turned["factor"]) == ("at most", 4000.0, 0.125)
    assert turned["summary"] == "more than 8.0 times the labels, if ever"


def test_a_factor_is_read_off_the_curve() -> None:
    table = efficiency_table(
        [curve("few", {100: 0.4, 400: 0.6}), curve("many", {100: 0.3, 400: 0.5, 1600: 0.55})]
    )
    assert row(table, "few", "many", 400)["labels"] == pytest.approx(200.0)
    assert row(table, "few", "many", 400)["factor"] == pytest.approx(2.0)
    assert row(table, "many", "few", 100)["factor"] == pytest.approx(0.5)
    assert row(table, "many", "few", 100)["summary"] == "2.0 times the labels"


def test_what_was_not_measured_is_a_bound_or_nothing() -> None:
    table = efficiency_table(
        [curve("short", {100: 0.40, 200: 0.50}), curve("long", {50: 0.30, 100: 0.6, 800: 0.7})]
    )
    below = row(table, "short", "long", 50)  # fewer than 100, against 50
    assert (below["bound"], below["factor"]) == ("at least", 0.5)
    assert below["summary"] == "no more than 2.0 times the labels"
    above = row(table, "short", "long", 100)  # more than 200, against 100
    assert (above["bound"], above["factor"]) == ("at most", 0.5)
    beyond = row(table, "short", "long", 800)  # more than 200, against 800: more or fewer?
    assert (beyond["bound"], beyond["factor"], beyond["labels"]) == ("not reached", None, None)
    assert beyond["summary"] == "not reached with 200 labels"


def test_a_curve_that_falls_is_made_level_first() -> None:
    table = efficiency_table(
        [curve("odd", {100: 0.4, 200: 0.6, 400: 0.5}), curve("even", {100: 0.3, 400: 0.55})]
    )
    assert row(table, "odd", "even", 400)["labels"] == pytest.approx(200.0)
    assert row(table, "even", "odd", 400)["ua"] == pytest.approx(0.55)


def test_what_moves_both_curves_alike_does_not_move_the_factor() -> None:
    moves = np.random.default_rng(0).normal(0, 0.03, 500)
    few = curve("few", {100: 0.4, 400: 0.6}, moves)
    many = curve("many", {100: 0.3, 400: 0.5}, moves)
    found = row(efficiency_table([few, many]), "few", "many", 400)
    assert (found["factor_low"], found["factor_high"]) == pytest.approx((2.0, 2.0))
    apart = curve("many", {100: 0.3, 400: 0.5}, moves[::-1])
    found = row(efficiency_table([few, apart]), "few", "many", 400)
    assert found["factor_low"] < 1.5
    assert found["factor_high"] > 2.5


def test_an_interval_that_leaves_what_was_measured_is_open() -> None:
    generator = np.random.default_rng(0)
    few = curve("few", {100: 0.49, 400: 0.6}, generator.normal(0, 0.02, (500, 2)))
    many = curve("many", {100: 0.3, 400: 0.5}, generator.normal(0, 0.001, (500, 2)))
    found = row(efficiency_table([few, many]), "few", "many", 400)
    assert found["bound"] == "measured"
    assert found["factor_high"] == np.inf
    assert 1.0 < found["factor_low"] < 4.0
    assert "and more)" in found["summary"]
    never = row(efficiency_table([many, few]), "many", "few", 400)
    assert (never["factor_low"], never["factor_high"]) == (0.0, 1.0)
    assert never["summary"] == "more labels, if ever (95 % interval of the factor: up to 1.0)"


def test_one_size_is_no_curve_and_that_is_said() -> None:
    curves = [curve("fused", {400: 0.7}), curve("grown", {100: 0.5, 400: 0.75})]
    table = efficiency_table(curves)
    assert table.select("experiment", "other").rows() == [("grown", "fused")]
    assert without_curve(curves).endswith("not counted: fused")
    assert without_curve(curves[1:]) == ""


def test_of_one_speaker_no_interval_is_known() -> None:
    curves = [
        Curve(name, ("1", "2"), np.array([1.0, 2.0]), ua, np.tile(ua, (5, 1)), speakers=1)
        for name, ua in (("a", np.array([0.4, 0.6])), ("b", np.array([0.3, 0.5])))
    ]
    table = efficiency_table(curves)
    assert table["factor_low"].null_count() == len(table)


def test_the_reference_is_the_best_of_hand_engineered_features() -> None:
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
    known = hand_engineered(experiments)
    assert known == {"mfcc", "compare"}
    assert reference_of(curves, known, None) == "compare"
    assert reference_of(curves, known, "wav2vec") == "wav2vec"
    assert reference_of(curves, set(), None) == "mfcc"
    assert reference_of(curves[3:], known, None) is None


def test_against_a_reference_each_has_the_row_that_was_measured_better() -> None:
    table = efficiency_table(
        [
            curve("reference", {100: 0.4, 400: 0.6}),
            curve("better", {100: 0.5, 400: 0.7}),
            curve("far", {100: 0.65, 400: 0.9}),
            curve("worse", {100: 0.3, 400: 0.5}),
            curve("fused", {400: 0.8}),
        ]
    )
    rows = {row["experiment"]: row for row in against(table, "reference").to_dicts()}
    assert list(rows) == ["better", "far", "worse", "fused"]
    found = {name: (row["counted"], row["bound"], row["factor"]) for name, row in rows.items()}
    assert found["better"] == ("better", "measured", pytest.approx(2.0))
    assert found["far"] == ("far", "at least", pytest.approx(4.0))
    # The reference has its UA with half the labels; and never that of the fusion.
    assert found["worse"] == ("reference", "measured", pytest.approx(0.5))
    assert found["fused"] == ("reference", "at least", pytest.approx(1.0))


def test_intervals_are_turned_over_with_the_factor() -> None:
    generator = np.random.default_rng(0)
    best = curve("best", {100: 0.4, 400: 0.6}, generator.normal(0, 0.01, (500, 2)))
    worse = curve("worse", {100: 0.3, 400: 0.5}, generator.normal(0, 0.01, (500, 2)))
    table = efficiency_table([best, worse])
    straight = row(table, "best", "worse", 400)
    (turned,) = against(table, "best").to_dicts()
    assert turned["factor_low"] == pytest.approx(1 / straight["factor_high"])
    assert turned["factor_high"] == pytest.approx(1 / straight["factor_low"])


def test_open_ends_fit_the_table(tmp_path: Path) -> None:
    few = curve("few", {100: 0.6, 400: 0.7}, np.zeros(10))
    many = curve("many", {100: 0.3, 400: 0.5}, np.zeros(10))
    table = efficiency_table([few, many])
    assert row(table, "few", "many", 400)["factor_high"] == np.inf
    write_table(table, tmp_path / "efficiency.parquet", EFFICIENCY)
