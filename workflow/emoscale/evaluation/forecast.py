"""The table of forecasts: UA at larger training sizes, and the labels needed for a target UA."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import polars as pl
import pyarrow as pa

from emoscale.evaluation.curve_model import LearningCurvePosterior, fit_learning_curve
from emoscale.evaluation.curves import LearningCurve
from emoscale.tables.parquet import dataframe_of
from emoscale.tables.schemas import schema_field
from emoscale.training.metrics import Floats

FORECAST = pa.schema(
    [
        schema_field("experiment", pa.string(), "experiment whose learning curve is extrapolated"),
        schema_field(
            "kind",
            pa.string(),
            "forecast: UA at a larger training size; held_out: UA at the largest measured size, "
            "predicted from the smaller sizes only; target: labels needed for a target UA",
        ),
        schema_field(
            "labels",
            pa.float64(),
            "number of labels; target: median over the fitted curves; inf: more than 1,000 times "
            "the largest measured size, or never reached",
        ),
        schema_field(
            "labels_low",
            pa.float64(),
            "target: lower end of the 95 % interval of the labels; null: other kinds, or one "
            "speaker only",
            null=True,
        ),
        schema_field(
            "labels_high",
            pa.float64(),
            "target: upper end of the 95 % interval of the labels; inf: as in `labels`, possibly "
            "never reached; null: other kinds, or one speaker only",
            null=True,
        ),
        schema_field(
            "ua",
            pa.float64(),
            "expected unweighted accuracy (UA) at `labels`; target: the target UA; 0 to 1",
        ),
        schema_field(
            "ua_low",
            pa.float64(),
            "lower end of the 95 % prediction interval of the UA measured at `labels`; null: kind "
            "target, or one speaker only",
            null=True,
        ),
        schema_field(
            "ua_high",
            pa.float64(),
            "upper end of the 95 % prediction interval; null: as in ua_low",
            null=True,
        ),
        schema_field(
            "measured_ua",
            pa.float64(),
            "held_out: UA measured at this size; null: other kinds",
            null=True,
        ),
        schema_field(
            "covered",
            pa.bool_(),
            "held_out: whether measured_ua is within the prediction interval; null: other kinds, "
            "or one speaker only",
            null=True,
        ),
        schema_field("summary", pa.string(), "caution in interpreting the row; empty: none"),
    ]
)
"""One row per experiment and larger size, held-out size or target UA."""

_HORIZON = 1000
"""No forecast goes beyond this multiple of the largest measured number of labels."""

_FAR = 10
"""Forecasts beyond this multiple of the largest measured number of labels depend on the formula."""


def forecast_table(
    curves: Sequence[LearningCurve],
    chance: float,
    forecast_sizes: Sequence[int] | None,
    target_ua: Sequence[float],
    seed: int,
) -> pl.DataFrame:
    """Forecast the learning curve of every experiment that was trained at two sizes or more.

    A forecast holds for the tested speakers and the same protocol: it predicts what would be
    measured if more utterances were labelled. If there are three sizes or more, the largest is also
    held out and predicted from the others.

    Parameters
    ----------
    curves : sequence of LearningCurve
        Measured learning curves.
    chance : float
        UA of chance, 0 to 1.
    forecast_sizes : sequence of int or None
        Numbers of labels at which to forecast; those that are not larger than an experiment's
        largest are left out. None: two and four times each experiment's largest.
    target_ua : sequence of float
        Unweighted accuracies for which to estimate the number of labels, 0 to 1.
    seed : int
        Seed of the posterior samples.

    Returns
    -------
    DataFrame
        One row per forecast (schema `FORECAST`).
    """
    rows = [
        row
        for curve in curves
        if curve.has_several_sizes
        for row in _rows(curve, chance, forecast_sizes, target_ua, seed)
    ]
    return dataframe_of(rows, FORECAST)


def fit_curve(curve: LearningCurve, chance: float, seed: int) -> LearningCurvePosterior:
    """Fit the learning-curve model to a measured curve, with noise estimated by the bootstrap.

    Parameters
    ----------
    curve : LearningCurve
        A measured curve with bootstrap samples.
    chance : float
        UA of chance, 0 to 1.
    seed : int
        Seed of the posterior samples.

    Returns
    -------
    LearningCurvePosterior
        The posterior samples.
    """
    degrees_of_freedom = max(curve.speakers - 1, 1)
    return fit_learning_curve(
        curve.labels, curve.ua, noise_of(curve), chance, degrees_of_freedom, seed
    )


def noise_of(curve: LearningCurve) -> float:
    """Estimate the standard deviation of a measured point around the true curve of its speakers.

    Speakers who are hard to recognise are so at every size, and move the whole curve. Noise is what
    moves one point relative to another: half the variance of the difference of two sizes.

    Parameters
    ----------
    curve : LearningCurve
        A measured curve with bootstrap samples.

    Returns
    -------
    float
        The standard deviation, in units of UA.
    """
    assert curve.bootstrap_ua is not None, "a measured curve has bootstrap samples"
    sizes = curve.bootstrap_ua.shape[1]
    variances = [
        np.var(curve.bootstrap_ua[:, larger] - curve.bootstrap_ua[:, smaller]) / 2
        for larger in range(sizes)
        for smaller in range(larger)
    ]
    return float(np.sqrt(np.mean(variances)))


def _rows(
    curve: LearningCurve,
    chance: float,
    forecast_sizes: Sequence[int] | None,
    target_ua: Sequence[float],
    seed: int,
) -> Iterable[dict[str, object]]:
    largest = float(curve.labels[-1])
    if forecast_sizes is None:
        sizes = [2 * largest, 4 * largest]
    else:
        sizes = sorted(map(float, forecast_sizes))
    posterior = fit_curve(curve, chance, seed)
    for labels in sizes:
        if labels > largest:
            yield _forecast_row(curve, "forecast", labels, posterior)
    smaller = curve.head(int((curve.labels < largest).sum()))
    if smaller.sizes and smaller.has_several_sizes:
        row = _forecast_row(smaller, "held_out", largest, fit_curve(smaller, chance, seed))
        measured, low, high = float(curve.ua[-1]), row["ua_low"], row["ua_high"]
        if isinstance(low, float) and isinstance(high, float):
            row["covered"] = low <= measured <= high
        yield {**row, "measured_ua": measured}
    for ua in target_ua:
        yield _target_row(curve, ua, chance, posterior)


def _forecast_row(
    curve: LearningCurve, kind: str, labels: float, posterior: LearningCurvePosterior
) -> dict:
    low, high = _interval(posterior.predictive_ua(labels), curve.speakers)
    multiple = labels / float(curve.labels[-1])
    cautions = [
        *(["from two sizes, so the curvature is unknown"] if len(set(curve.labels)) == 2 else []),
        *(
            [f"UA falls at the end of {posterior.falling_fraction:.0%} of the fitted curves"]
            if posterior.falling_fraction > 0.5
            else []
        ),
        *([f"{multiple:.0f} times the largest measured size"] if multiple > _FAR else []),
    ]
    return {
        "experiment": curve.experiment,
        "kind": kind,
        "labels": labels,
        "labels_low": None,
        "labels_high": None,
        "ua": float(np.median(posterior.expected_ua(labels))),
        "ua_low": low,
        "ua_high": high,
        "measured_ua": None,
        "covered": None,
        "summary": "; ".join(cautions),
    }


def _interval(values: Floats, speakers: int) -> tuple[float | None, float | None]:
    """Return the central 95 % of posterior samples; null for a single speaker.

    The percentiles are not expanded as in `speakers.confidence_interval`: the values are no
    bootstrap over few speakers, and their noise has Student's t distribution already.
    """
    if speakers < 2:
        return None, None
    low, high = np.quantile(values, (0.025, 0.975), method="inverted_cdf")
    return float(low), float(high)


def _target_row(
    curve: LearningCurve, ua: float, chance: float, posterior: LearningCurvePosterior
) -> dict[str, object]:
    labels = posterior.labels_for(ua)
    labels = np.where(labels > _HORIZON * curve.labels[-1], np.inf, labels)
    low, high = _interval(labels, curve.speakers)
    median = float(np.quantile(labels, 0.5, method="lower"))
    return {
        "experiment": curve.experiment,
        "kind": "target",
        "labels": median,
        "labels_low": low,
        "labels_high": high,
        "ua": ua,
        "ua_low": None,
        "ua_high": None,
        "measured_ua": None,
        "covered": None,
        "summary": _target_summary(ua, labels, median, curve, chance),
    }


def _target_summary(
    ua: float, labels: Floats, median: float, curve: LearningCurve, chance: float
) -> str:
    never = float(np.isinf(labels).mean())
    if ua <= chance:
        return "not above chance"
    if never > 0.5:
        return f"not reached by {never:.0%} of the fitted curves"
    if median < curve.labels[0]:
        return "reached below the smallest measured size"
    cautions = []
    if median <= curve.labels[-1]:
        cautions.append("within the measured sizes")
    if median > _FAR * curve.labels[-1]:
        cautions.append(f"{median / curve.labels[-1]:,.0f} times the largest measured size")
    if never >= 0.005:
        cautions.append(f"not reached by {never:.0%} of the fitted curves")
    return "; ".join(cautions)
