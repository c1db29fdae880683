from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emoscale.evaluation.curves import Curve
from emoscale.evaluation.forecast import FORECAST, forecast_table, noise_of
from emoscale.evaluation.growth import fit_growth
from emoscale.tables.parquet import write_table

LABELS = np.array([50.0, 100.0, 200.0, 400.0, 800.0])


def hill(labels: np.ndarray | float) -> np.ndarray:
    return np.asarray(0.25 + 0.5 / (1 + 150 / np.asarray(labels)))


def measured(ua: np.ndarray, labels: np.ndarray = LABELS, noise: float = 0.01) -> Curve:
    generator = np.random.default_rng(0)
    speakers = generator.normal(0, 0.05, (2000, 1))  # who moves the whole curve
    drawn = ua + speakers + generator.normal(0, noise, (2000, len(ua)))
    sizes = tuple(f"{number:.0f}" for number in labels)
    return Curve("mfcc", sizes, labels, ua, drawn, speakers=10)


def test_speakers_who_move_a_whole_curve_are_no_noise_of_its_points() -> None:
    assert noise_of(measured(hill(LABELS), noise=0.01)) == pytest.approx(0.01, rel=0.05)


def test_growth_follows_its_points() -> None:
    growth = fit_growth(LABELS, hill(LABELS), noise=0.005, chance=0.25, freedom=9, seed=1)
    for labels in (60.0, 500.0, 1600.0):
        assert np.median(growth.expected(labels)) == pytest.approx(hill(labels), abs=0.01)
    assert (growth.ceiling <= 1).all()
    assert (growth.expected(1e-9) < 0.30).all()  # it begins at chance
    later = growth.expected(3200.0)
    assert (later >= growth.expected(1600.0) - 1e-12).all()


def test_labels_for_a_ua_are_those_that_give_it() -> None:
    growth = fit_growth(LABELS, hill(LABELS), noise=0.005, chance=0.25, freedom=9, seed=1)
    labels = growth.labels_for(0.72)
    reached = np.isfinite(labels)
    assert reached.any()
    assert (growth.ceiling[~reached] <= 0.72).all()
    for place in np.flatnonzero(reached)[:20]:
        assert growth.expected(labels[place])[place] == pytest.approx(0.72)
    assert (growth.labels_for(0.25) == 0).all()


def test_a_level_curve_grows_no_further() -> None:
    growth = fit_growth(LABELS, np.full(5, 0.5), noise=0.01, chance=0.25, freedom=9)
    assert np.median(growth.expected(3200.0)) == pytest.approx(0.51, abs=0.02)


def test_a_curve_at_chance_or_below_it_can_be_followed() -> None:
    for level in (0.25, 0.20):
        growth = fit_growth(LABELS, np.full(5, level), noise=0.01, chance=0.25, freedom=9)
        assert np.isfinite(growth.expected(1600.0)).all()
        assert np.median(growth.expected(1600.0)) == pytest.approx(level, abs=0.02)


def test_further_sizes_and_the_hidden_one(tmp_path: Path) -> None:
    table = forecast_table([measured(hill(LABELS))], 0.25, None, [], seed=1)
    assert table.select("kind", "labels").rows() == [
        ("forecast", 1600.0),
        ("forecast", 3200.0),
        ("hidden", 800.0),
    ]
    first, second, hidden = table.to_dicts()
    assert first["ua"] < second["ua"]
    assert first["ua_low"] < first["ua"] < first["ua_high"]
    assert hidden["measured_ua"] == pytest.approx(hill(800.0))
    assert hidden["covered"]
    write_table(table, tmp_path / "forecast.parquet", FORECAST)


def test_what_is_hidden_has_no_say_in_its_forecast() -> None:
    odd = hill(LABELS)
    odd[-1] = 0.95
    (hidden,) = forecast_table([measured(odd)], 0.25, [1], [], seed=1).to_dicts()
    (known,) = forecast_table([measured(hill(LABELS))], 0.25, [1], [], seed=1).to_dicts()
    assert hidden["ua"] == pytest.approx(known["ua"], abs=1e-9)
    assert hidden["covered"] is False


def test_only_sizes_beyond_the_measured_ones_are_forecast() -> None:
    table = forecast_table([measured(hill(LABELS))], 0.25, [400, 20_000, 1000], [], seed=1)
    further = table.filter(kind="forecast")
    assert further["labels"].to_list() == [1000.0, 20_000.0]
    assert further["summary"].to_list() == ["", "25 times the labels measured"]


def test_wanted_accuracies_say_whether_they_can_be_had() -> None:
    table = forecast_table([measured(hill(LABELS))], 0.25, [1], [0.2, 0.5, 0.7, 0.99], seed=1)
    chance, within, beyond, never = table.filter(kind="wanted").to_dicts()
    assert chance["summary"] == "no more than guessing gives"
    assert within["labels"] == pytest.approx(150.0, rel=0.15)
    assert within["labels_low"] < 150 < within["labels_high"]
    assert within["summary"] == "within what was measured"
    assert beyond["labels"] == pytest.approx(1350.0, rel=0.4)  # 0.5 / (1 + 150 / n) = 0.45
    assert never["labels"] == np.inf
    assert never["labels_high"] == np.inf
    assert never["summary"].startswith("not reachable for ")


def test_one_size_is_left_out_and_two_are_said_to_be_few() -> None:
    one = measured(np.array([0.5]), np.array([100.0]))
    assert forecast_table([one], 0.25, None, [0.7], seed=1).is_empty()
    two = measured(hill(LABELS[:2]), LABELS[:2])
    table = forecast_table([two], 0.25, None, [], seed=1)
    assert table["kind"].to_list() == ["forecast", "forecast"]
    assert set(table["summary"]) == {"from two sizes, whose bend is not known"}


def test_of_one_speaker_no_interval_is_known() -> None:
    ua = hill(LABELS)
    alone = Curve("mfcc", ("a",) * 5, LABELS, ua, np.tile(ua, (10, 1)), speakers=1)
    table = forecast_table([alone], 0.25, None, [0.7], seed=1)
    assert table["ua_low"].null_count() == len(table)
    assert table["covered"].null_count() == len(table)
