from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emoscale.evaluation.curve_model import fit_learning_curve
from emoscale.evaluation.curves import LearningCurve
from emoscale.evaluation.forecast import FORECAST, forecast_table, noise_of
from emoscale.tables.parquet import write_table

LABELS = np.array([50.0, 100.0, 200.0, 400.0, 800.0])


def hill(labels: np.ndarray | float) -> np.ndarray:
    return np.asarray(0.25 + 0.5 / (1 + 150 / np.asarray(labels)))


def measured_curve(
    ua: np.ndarray, labels: np.ndarray = LABELS, noise: float = 0.01
) -> LearningCurve:
    generator = np.random.default_rng(0)
    speakers = generator.normal(0, 0.05, (2000, 1))  # move the whole curve
    bootstrap_ua = ua + speakers + generator.normal(0, noise, (2000, len(ua)))
    sizes = tuple(f"{number:.0f}" for number in labels)
    return LearningCurve("mfcc", sizes, labels, ua, bootstrap_ua, speakers=10)


def test_noise_excludes_the_variance_of_whole_curves() -> None:
    assert noise_of(measured_curve(hill(LABELS), noise=0.01)) == pytest.approx(0.01, rel=0.05)


def test_posterior_fits_measured_points() -> None:
    posterior = fit_learning_curve(
        LABELS, hill(LABELS), noise=0.005, chance=0.25, degrees_of_freedom=9, seed=1
    )
    for labels in (60.0, 500.0, 1600.0):
        assert np.median(posterior.expected_ua(labels)) == pytest.approx(hill(labels), abs=0.01)
    assert (posterior.ceiling <= 1).all()
    assert (posterior.expected_ua(1e-9) < 0.30).all()  # chance without labels
    rises = np.isinf(posterior.turn)
    assert rises.mean() > 0.9
    later = posterior.expected_ua(3200.0)
    assert ((later >= posterior.expected_ua(1600.0) - 1e-12) == rises).all()


def test_labels_for_inverts_expected_ua() -> None:
    posterior = fit_learning_curve(
        LABELS, hill(LABELS), noise=0.005, chance=0.25, degrees_of_freedom=9, seed=1
    )
    labels = posterior.labels_for(0.72)
    reached = np.isfinite(labels)
    assert reached.any()
    rises = np.isinf(posterior.turn)
    assert (posterior.ceiling[~reached & rises] <= 0.72).all()
    assert (labels[reached] <= posterior.turn[reached]).all()
    for index in np.flatnonzero(reached)[:20]:
        assert posterior.expected_ua(labels[index])[index] == pytest.approx(0.72)
    assert (posterior.labels_for(0.25) == 0).all()


def test_constant_curve_stays_constant() -> None:
    posterior = fit_learning_curve(
        LABELS, np.full(5, 0.5), noise=0.01, chance=0.25, degrees_of_freedom=9
    )
    assert np.median(posterior.expected_ua(3200.0)) == pytest.approx(0.51, abs=0.02)


def test_curves_at_or_below_chance_can_be_fitted() -> None:
    for ua in (0.25, 0.20):
        posterior = fit_learning_curve(
            LABELS, np.full(5, ua), noise=0.01, chance=0.25, degrees_of_freedom=9
        )
        assert np.isfinite(posterior.expected_ua(1600.0)).all()
        assert np.median(posterior.expected_ua(1600.0)) == pytest.approx(ua, abs=0.02)


def test_forecasts_of_larger_sizes_and_of_the_hidden_one(tmp_path: Path) -> None:
    table = forecast_table([measured_curve(hill(LABELS))], 0.25, None, [], seed=1)
    assert table.select("kind", "labels").rows() == [
        ("forecast", 1600.0),
        ("forecast", 3200.0),
        ("held_out", 800.0),
    ]
    first, second, hidden = table.to_dicts()
    assert first["ua"] < second["ua"]
    assert first["ua_low"] < first["ua"] < first["ua_high"]
    assert hidden["measured_ua"] == pytest.approx(hill(800.0))
    assert hidden["covered"]
    write_table(table, tmp_path / "forecast.parquet", FORECAST)


def test_hidden_size_does_not_influence_its_forecast() -> None:
    outlier = hill(LABELS)
    outlier[-1] = 0.95
    (hidden,) = forecast_table([measured_curve(outlier)], 0.25, [1], [], seed=1).to_dicts()
    (expected,) = forecast_table([measured_curve(hill(LABELS))], 0.25, [1], [], seed=1).to_dicts()
    assert hidden["ua"] == pytest.approx(expected["ua"], abs=1e-9)
    assert hidden["covered"] is False


@pytest.mark.parametrize(
    "ua",
    [
        np.array([0.58, 0.56, 0.54, 0.52, 0.50]),
        np.array([0.48, 0.53, 0.58, 0.54, 0.50]),
    ],
    ids=["falls throughout", "rises, then falls"],
)
def test_falling_curves_are_forecast_to_fall(ua: np.ndarray) -> None:
    per_doubling = ua[-1] - ua[-2]
    table = forecast_table([measured_curve(ua)], 0.25, [1600, 3200], [], seed=1)
    for doublings, row in enumerate(table.filter(kind="forecast").to_dicts(), start=1):
        assert row["ua"] == pytest.approx(ua[-1] + doublings * per_doubling, abs=0.03)
        assert row["ua_low"] < ua[-1] + doublings * per_doubling < row["ua_high"]
        assert row["ua"] < ua[-1]
        assert row["summary"].startswith("UA falls at the end of ")


def test_rising_and_constant_curves_are_not_said_to_fall() -> None:
    for ua in (hill(LABELS), np.full(5, 0.5)):
        table = forecast_table([measured_curve(ua)], 0.25, None, [], seed=1)
        assert set(table["summary"]) == {""}


def test_falling_curves_reach_a_target_before_they_fall_or_never() -> None:
    ua = np.array([0.44, 0.50, 0.56, 0.52, 0.48])  # a fall from 200 labels on
    table = forecast_table([measured_curve(ua, noise=0.005)], 0.25, [1], [0.5, 0.7], seed=1)
    within, never = table.filter(kind="target").to_dicts()
    assert within["labels"] == pytest.approx(100.0, rel=0.2)
    assert within["labels_high"] < 200
    assert within["summary"] == "within the measured sizes"
    assert never["labels"] == np.inf
    assert never["summary"].startswith("not reached by ")


def test_forecasts_do_not_fall_below_chance() -> None:
    ua = np.array([0.45, 0.40, 0.35, 0.30, 0.26])
    posterior = fit_learning_curve(LABELS, ua, noise=0.005, chance=0.25, degrees_of_freedom=9)
    assert posterior.falling_fraction > 0.99
    assert (posterior.expected_ua(1e6) == 0.25).mean() > 0.9
    assert (posterior.expected_ua(1e6) >= 0.25).all()


def test_only_sizes_beyond_the_measured_range_are_forecast() -> None:
    table = forecast_table([measured_curve(hill(LABELS))], 0.25, [400, 20_000, 1000], [], seed=1)
    forecasts = table.filter(kind="forecast")
    assert forecasts["labels"].to_list() == [1000.0, 20_000.0]
    assert forecasts["summary"].to_list() == ["", "25 times the largest measured size"]


def test_summaries_of_target_accuracies() -> None:
    table = forecast_table([measured_curve(hill(LABELS))], 0.25, [1], [0.2, 0.5, 0.7, 0.99], seed=1)
    chance, within, beyond, never = table.filter(kind="target").to_dicts()
    assert chance["summary"] == "not above chance"
    assert within["labels"] == pytest.approx(150.0, rel=0.15)
    assert within["labels_low"] < 150 < within["labels_high"]
    assert within["summary"] == "within the measured sizes"
    assert beyond["labels"] == pytest.approx(1350.0, rel=0.4)  # 0.5 / (1 + 150 / n) = 0.45
    assert never["labels"] == np.inf
    assert never["labels_high"] == np.inf
    assert never["summary"].startswith("not reached by ")


def test_single_sizes_are_left_out_and_two_sizes_have_a_caution() -> None:
    one_size = measured_curve(np.array([0.5]), np.array([100.0]))
    assert forecast_table([one_size], 0.25, None, [0.7], seed=1).is_empty()
    two_sizes = measured_curve(hill(LABELS[:2]), LABELS[:2])
    table = forecast_table([two_sizes], 0.25, None, [], seed=1)
    assert table["kind"].to_list() == ["forecast", "forecast"]
    assert set(table["summary"]) == {"from two sizes, so the curvature is unknown"}


def test_single_speaker_has_no_interval() -> None:
    ua = hill(LABELS)
    single_speaker = LearningCurve("mfcc", ("a",) * 5, LABELS, ua, np.tile(ua, (10, 1)), speakers=1)
    table = forecast_table([single_speaker], 0.25, None, [0.7], seed=1)
    assert table["ua_low"].null_count() == len(table)
    assert table["covered"].null_count() == len(table)
