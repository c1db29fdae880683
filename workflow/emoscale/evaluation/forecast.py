"""The table of forecasts: UA at sizes that were not labelled, labels for a UA that was not had."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from emoscale.evaluation.curves import Curve
from emoscale.evaluation.growth import GrowthCurves, fit_growth
from emoscale.tables.parquet import dataframe_of
from emoscale.tables.schemas import schema_field
from emoscale.training.metrics import Floats

FORECAST = pa.schema(
    [
        schema_field("experiment", pa.string(), "whose curve is followed"),
        schema_field(
            "kind",
            pa.string(),
            "forecast: at a further size. hidden: of the largest size, as if it had not been "
            "measured. wanted: labels for a wanted UA",
        ),
        schema_field(
            "labels",
            pa.float64(),
            "number of labels; wanted: the median of what the curves that fit ask for; inf: more "
            "than 1,000 times the largest size, or never",
        ),
        schema_field(
            "labels_low",
            pa.float64(),
            "wanted: lower end of the 95 % interval of the labels; null: another kind",
            null=True,
        ),
        schema_field(
            "labels_high",
            pa.float64(),
            "wanted: upper end; inf: as in `labels`, so it may not be reachable; null: another "
            "kind",
            null=True,
        ),
        schema_field("ua", pa.float64(), "unweighted accuracy expected there, or wanted, 0 to 1"),
        schema_field(
            "ua_low",
            pa.float64(),
            "lower end of the 95 % interval of what would be measured there; null: wanted, or not "
            "known",
            null=True,
        ),
        schema_field("ua_high", pa.float64(), "upper end; null: wanted, or not known", null=True),
        schema_field("measured_ua", pa.float64(), "hidden: what was measured", null=True),
        schema_field("covered", pa.bool_(), "hidden: whether that is in the interval", null=True),
        schema_field("summary", pa.string(), "what the reader must know of this row"),
    ]
)
"""A row an experiment and further size, hidden size or wanted UA."""

_HORIZON = 1000
"""Times the labels measured: nothing is said beyond them."""

_FAR = 10
"""Times the labels measured: what is asked for beyond them rests on the formula."""


def forecast_table(
    curves: Sequence[Curve],
    chance: float,
    further: Sequence[int] | None,
    wanted: Sequence[float],
    seed: int,
) -> pl.DataFrame:
    """Forecasts of every experiment that was trained at two sizes or more.

    `further` are numbers of labels; null: twice and four times each experiment's largest. Numbers
    that an experiment has already are left out. A forecast is of the tested speakers, under the
    same protocol: of what would be measured if more were labelled. Where there are three sizes or
    more the largest is also hidden, and forecast from the others.
    """
    rows = [
        row
        for curve in curves
        if curve.has_growth
        for row in _rows(curve, chance, further, wanted, seed)
    ]
    return dataframe_of(rows, FORECAST)


def growth_of(curve: Curve, chance: float, seed: int) -> GrowthCurves:
    """The growth that fits a measured curve, with the noise that its draws show."""
    freedom = max(curve.speakers - 1, 1)
    return fit_growth(curve.labels, curve.ua, noise_of(curve), chance, freedom, seed)


def noise_of(curve: Curve) -> float:
    """Standard deviation of a point around the speakers' curve.

    Speakers who are hard to recognise are so at every size, and move the whole curve. What moves
    one point against another is noise: half the variance of the differences between sizes.
    """
    assert curve.drawn is not None, "a measured curve has draws"
    sizes = curve.drawn.shape[1]
    variances = [
        np.var(curve.drawn[:, one] - curve.drawn[:, other]) / 2
        for one in range(sizes)
        for other in range(one)
    ]
    return float(np.sqrt(np.mean(variances)))


def _rows(
    curve: Curve,
    chance: float,
    further: Sequence[int] | None,
    wanted: Sequence[float],
    seed: int,
) -> Iterable[dict[str, object]]:
    largest = float(curve.labels[-1])
    sizes = [2 * largest, 4 * largest] if further is None else sorted(map(float, further))
    growth = growth_of(curve, chance, seed)
    for labels in sizes:
        if labels > largest:
            yield _forecast_row(curve, "forecast", labels, growth)
    known = curve.first(int((curve.labels < largest).sum()))
    if known.sizes and known.has_growth:
        row = _forecast_row(known, "hidden", largest, growth_of(known, chance, seed))
        measured, low, high = float(curve.ua[-1]), row["ua_low"], row["ua_high"]
        if isinstance(low, float) and isinstance(high, float):
            row["covered"] = low <= measured <= high
        yield {**row, "measured_ua": measured}
    for ua in wanted:
        yield _wanted_row(curve, ua, chance, growth)


def _forecast_row(curve: Curve, kind: str, labels: float, growth: GrowthCurves) -> dict:
    low, high = _ends(growth.measured(labels), curve.speakers)
    times = labels / float(curve.labels[-1])
    says = [
        *(["from two sizes, whose bend is not known"] if len(set(curve.labels)) == 2 else []),
        *([f"{times:.0f} times the labels measured"] if times > _FAR else []),
    ]
    return {
        "experiment": curve.experiment,
        "kind": kind,
        "labels": labels,
        "labels_low": None,
        "labels_high": None,
        "ua": float(np.median(growth.expected(labels))),
        "ua_low": low,
        "ua_high": high,
        "measured_ua": None,
        "covered": None,
        "summary": "; ".join(says),
    }


def _ends(values: Floats, speakers: int) -> tuple[float | None, float | None]:
    """The middle 95 % of equally likely values; of one speaker nothing is known.

    Not the expanded percentiles of `speakers.interval`: these values were not drawn again from few
    speakers. Only their noise was, which is why it has Student's t.
    """
    if speakers < 2:
        return None, None
    low, high = np.quantile(values, (0.025, 0.975), method="inverted_cdf")
    return float(low), float(high)


def _wanted_row(curve: Curve, ua: float, chance: float, growth: GrowthCurves) -> dict[str, object]:
    labels = growth.labels_for(ua)
    labels = np.where(labels > _HORIZON * curve.labels[-1], np.inf, labels)
    low, high = _ends(labels, curve.speakers)
    median = float(np.quantile(labels, 0.5, method="lower"))
    return {
        "experiment": curve.experiment,
        "kind": "wanted",
        "labels": median,
        "labels_low": low,
        "labels_high": high,
        "ua": ua,
        "ua_low": None,
        "ua_high": None,
        "measured_ua": None,
        "covered": None,
        "summary": _words(ua, labels, median, curve, chance),
    }


def _words(ua: float, labels: np.ndarray, median: float, curve: Curve, chance: float) -> str:
    never = float(np.isinf(labels).mean())
    if ua <= chance:
        return "no more than guessing gives"
    if never > 0.5:
        return f"not reachable for {never:.0%} of the curves that fit"
    if median < curve.labels[0]:
        return "had with fewer labels than were measured"
    says = []
    if median <= curve.labels[-1]:
        says.append("within what was measured")
    if median > _FAR * curve.labels[-1]:
        says.append(f"{median / curve.labels[-1]:,.0f} times the labels measured")
    if never >= 0.005:
        says.append(f"not reachable for {never:.0%} of the curves that fit")
    return "; ".join(says)
