"""A short form of `make evidence`: fewer studies, so wider limits."""

from __future__ import annotations

import pytest

from tests.evidence.simulate_curves import DESIGNS, SHAPES, factors, hidden_points


@pytest.mark.parametrize(
    ("design", "shape"),
    [
        ("5, each twice the last", "power law"),
        ("4, each four times the last", "logarithm"),
        ("4, each twice the last", "sigmoid in log n, before its middle"),
    ],
)
def test_the_hidden_last_point_is_where_it_was_forecast(design: str, shape: str) -> None:
    found = hidden_points(SHAPES[shape], DESIGNS[design], simulations=20)
    assert found["covered"] >= 0.85
    assert found["width"] < 0.35
    assert found["error"] < found["width"] / 2


def test_the_interval_of_a_factor_holds_it() -> None:
    found = factors(4.0, DESIGNS["5, each twice the last"], simulations=25)
    assert found["held"] >= 0.85
    assert 2.0 < found["median"] < 8.0
