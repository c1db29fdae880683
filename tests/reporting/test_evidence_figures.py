from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from emoscale.evaluation.curves import LearningCurve
from emoscale.evaluation.efficiency import efficiency_table, single_size_note
from emoscale.evaluation.forecast import forecast_table
from emoscale.reporting.efficiency import draw_efficiency
from emoscale.reporting.forecast import draw_forecast
from emoscale.reporting.learning_curves import draw_learning_curves
from tests.reporting.test_figures import SCORES as CURVE_SCORES
from tests.reporting.test_figures import text_elements


def curve(name: str, points: dict[int, float]) -> LearningCurve:
    generator = np.random.default_rng(len(name))
    ua = np.array(list(points.values()))
    samples = ua + generator.normal(0, 0.015, (300, len(ua)))
    sizes = tuple(map(str, points))
    return LearningCurve(name, sizes, np.array([*points], dtype=float), ua, samples, speakers=10)


CURVES = [
    curve("mfcc", {100: 0.40, 200: 0.47, 400: 0.55}),
    curve("better", {100: 0.48, 200: 0.58, 400: 0.65}),
    curve("far", {100: 0.70, 200: 0.75, 400: 0.78}),
    curve("worse", {100: 0.30, 200: 0.33, 400: 0.36}),
    curve("fused", {400: 0.8}),
]
SCORES = pl.DataFrame(
    [
        {
            "corpus": "demo (synthetic speech)",
            "experiment": curve.experiment,
            "training_utterances_mean": float(labels),
            "ua": float(ua),
            "chance_ua": 0.25,
            "pretrained_weights": "untrained: seed 1" if curve.experiment == "far" else "",
        }
        for curve in CURVES
        for labels, ua in zip(curve.labels, curve.ua, strict=True)
    ]
)


def test_each_row_states_the_labels_saved(tmp_path: Path) -> None:
    html, svg = tmp_path / "efficiency.html", tmp_path / "efficiency.svg"
    left_out = single_size_note(CURVES)
    draw_efficiency(efficiency_table(CURVES), SCORES, "mfcc", left_out, html, svg)
    texts = text_elements(svg)
    assert [text for text in texts if text in ("far", "better", "fused", "worse")] == [
        "far", "better", "fused", "worse"
    ]  # fmt: skip
    assert {"≥ 4× fewer", "2.5× fewer", "as many or fewer", "≥ 4× more"} <= set(texts)
    text = " ".join(texts)
    assert "compared with mfcc, which has a UA of 55.0 % with 400 labels" in text
    assert "compared with but not counted: fused" in text
    assert "Weights of far: untrained: seed 1" in text
    assert not re.search(r"<script[^>]+src=", html.read_text())


def test_one_experiment_has_no_efficiency(tmp_path: Path) -> None:
    svg = tmp_path / "efficiency.svg"
    draw_efficiency(efficiency_table(CURVES[:1]), SCORES, "mfcc", "", svg)
    assert "there are no two experiments to compare" in " ".join(text_elements(svg))
    draw_efficiency(efficiency_table(CURVES[4:]), SCORES, "", single_size_note(CURVES[4:]), svg)
    assert "not counted: fused" in " ".join(text_elements(svg))


def test_forecasts_have_a_panel_each_and_their_coverage(tmp_path: Path) -> None:
    table = forecast_table(CURVES, 0.25, None, [0.7], seed=1)
    draw_forecast(table, SCORES, tmp_path / "forecast.html", tmp_path / "forecast.svg")
    texts = text_elements(tmp_path / "forecast.svg")
    assert [text for text in texts if text in ("mfcc", "better", "far", "worse", "fused")] == [
        "mfcc", "better", "far", "worse"
    ]  # fmt: skip
    covered = table["covered"].sum()
    assert f"contains the measured UA in {covered} of 4" in " ".join(texts)


def test_the_panel_of_a_falling_curve_says_so(tmp_path: Path) -> None:
    falling = curve("mfcc", {100: 0.50, 200: 0.55, 400: 0.48, 800: 0.41})
    table = forecast_table([falling, CURVES[1]], 0.25, None, [], seed=1)
    draw_forecast(table, SCORES, tmp_path / "forecast.svg")
    text = " ".join(text_elements(tmp_path / "forecast.svg"))
    assert len(re.findall(r"UA falls at the end of \d+% of the fitted curves", text)) == 1


def test_a_forecast_without_curves_states_the_reason(tmp_path: Path) -> None:
    table = forecast_table(CURVES[4:], 0.25, None, [], seed=1)
    draw_forecast(table, SCORES, tmp_path / "forecast.svg")
    assert "trained at one size" in " ".join(text_elements(tmp_path / "forecast.svg"))


def test_curves_have_the_intervals_of_the_scores(tmp_path: Path) -> None:
    with_intervals = CURVE_SCORES.with_columns(
        ua_low=pl.col("ua") - 0.1, ua_high=pl.col("ua") + 0.1, chance_ua=pl.lit(0.25)
    )
    html, svg = tmp_path / "curves.html", tmp_path / "curves.svg"
    draw_learning_curves(with_intervals, html, svg)
    text = " ".join(text_elements(svg))
    assert "error bars: 95 % confidence interval (bootstrap over speakers and trainings)" in text
    assert "as published" not in text
    without_intervals = with_intervals.with_columns(
        ua_low=pl.lit(None, pl.Float64), ua_high=pl.lit(None, pl.Float64)
    )
    draw_learning_curves(without_intervals, html, svg)  # one speaker: no interval


@pytest.mark.parametrize("low", [0.93, np.nan])  # not a number: one speaker
def test_one_more_rater_is_a_band_within_the_axis(tmp_path: Path, low: float) -> None:
    ceiling = pl.DataFrame(
        {
            **{"experiment": ["one more rater"] * 2, "target": ["other raters", "label"]},
            **{"is_ceiling": [True, False], "ua": [0.95, 0.4]},
            **{"ua_low": [low, 0.3], "ua_high": [0.97, 0.5]},
        }
    )
    svg = tmp_path / "curves.svg"
    scores = CURVE_SCORES.with_columns(chance_ua=pl.lit(0.25))
    draw_learning_curves(scores, tmp_path / "curves.html", svg, ceiling)
    texts = text_elements(svg)
    assert texts.count("one more rater") == 1
    assert "100%" in texts
    assert "one more rater against the plurality of the other raters" in " ".join(texts)
    draw_learning_curves(scores, tmp_path / "curves.html", svg, ceiling.clear())
    assert "one more rater" not in " ".join(text_elements(svg))


@pytest.mark.parametrize(
    ("corpus", "chance", "expected"),
    [("IEMOCAP", 0.25, True), ("IEMOCAP", 0.5, False), ("emodb", 0.25, False)],
)
def test_published_curves_are_drawn_on_their_own_corpus(
    tmp_path: Path, corpus: str, chance: float, expected: bool
) -> None:
    scores = CURVE_SCORES.with_columns(corpus=pl.lit(corpus), chance_ua=pl.lit(chance))
    svg = tmp_path / "curves.svg"
    draw_learning_curves(scores, tmp_path / "curves.html", svg)
    assert ("hand-engineered, best set" in text_elements(svg)) is expected
    assert ("arXiv 2011.05585" in " ".join(text_elements(svg))) is expected
