"""A shorter form of `make evidence`, with fewer simulated studies and wider limits."""

from __future__ import annotations

import pytest

from tests.evidence.simulate_curves import (
    DESIGNS,
    FALLING_SHAPES,
    SHAPES,
    estimate_factors,
    forecast_points,
)


@pytest.mark.parametrize(
    ("design", "shape"),
    [
        ("5, each twice the last", "power law"),
        ("4, each four times the last", "logarithm"),
        ("4, each twice the last", "sigmoid in log n, before its middle"),
    ],
)
def test_prediction_intervals_cover_hidden_points(design: str, shape: str) -> None:
    result = forecast_points(SHAPES[shape], DESIGNS[design], simulations=20)["held out"]
    assert result["covered"] >= 0.85
    assert result["width"] < 0.35
    assert result["error"] < result["width"] / 2


@pytest.mark.parametrize("shape", FALLING_SHAPES)
def test_forecasts_of_falling_curves_cover_later_points(shape: str) -> None:
    labels = DESIGNS["5, each twice the last"]
    result = forecast_points(FALLING_SHAPES[shape], labels, simulations=20)
    for kind in ("twice", "four times"):
        assert result[kind]["covered"] >= 0.8
        assert result[kind]["width"] < 0.3


def test_intervals_cover_the_true_factor() -> None:
    result = estimate_factors(4.0, DESIGNS["5, each twice the last"], simulations=25)
    assert result["covered"] >= 0.85
    assert 2.0 < result["median"] < 8.0
