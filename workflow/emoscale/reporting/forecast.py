"""Forecast of each learning curve at larger training sizes."""

from __future__ import annotations

from pathlib import Path

import altair as alt
import polars as pl

from emoscale.reporting.figures import (
    COLOURS,
    empty_figure,
    figure_title,
    save,
    weights_lines,
    wrap_text,
)
from emoscale.reporting.learning_curves import axis_ticks

_TITLE = "Forecast of UA with more labels"
_COLUMNS = 3
_PANEL_PIXELS = 250
_SPACING_PIXELS = 30


def draw_forecast(forecast: pl.DataFrame, scores: pl.DataFrame, *paths: Path) -> None:
    """Write the figure of `forecast_chart`.

    Parameters
    ----------
    forecast : DataFrame
        The table of forecasts.
    scores : DataFrame
        The table of scores.
    *paths : Path
        Files to write.
    """
    save(forecast_chart(forecast, scores), *paths)


def forecast_chart(forecast: pl.DataFrame, scores: pl.DataFrame) -> alt.TopLevelMixin:
    """Return one panel per experiment: its measured learning curve and its forecast.

    A grey bar at the last measured size is its forecast from the smaller sizes. The title of a
    panel contains the cautions of its forecast, such as that the curve falls.

    Parameters
    ----------
    forecast : DataFrame
        The table of forecasts.
    scores : DataFrame
        The table of scores.

    Returns
    -------
    altair.TopLevelMixin
        The figure; without forecasts, it states the reason.
    """
    further = forecast.filter(kind="forecast")
    names = further.unique("experiment", keep="first", maintain_order=True)["experiment"].to_list()
    if not names:
        return empty_figure(
            _TITLE,
            f"{scores['corpus'][0]}; every experiment of this study is trained at one size, so "
            "none has a learning curve",
        )
    measured = scores.filter(pl.col("experiment").is_in(names)).select(
        "experiment", pl.col("training_utterances_mean").alias("labels"), "ua"
    )
    last = measured.sort("labels").group_by("experiment", maintain_order=True).last()
    fan = pl.concat(
        [
            last.with_columns(pl.col("ua").alias("ua_low"), pl.col("ua").alias("ua_high")),
            further.select("experiment", "labels", "ua", "ua_low", "ua_high"),
        ]
    ).sort("experiment", "labels")
    held_out = forecast.filter(kind="held_out")
    values = [*measured["ua"], *fan["ua_low"].drop_nulls(), *fan["ua_high"].drop_nulls()]
    chance = float(scores["chance_ua"][0])
    limits = [max(0.0, min(*values, chance) - 0.05), min(1.0, max(values) + 0.05)]
    tables = {"measured": measured, "fan": fan, "held_out": held_out}
    farthest = further.sort("labels").group_by("experiment").last()
    cautions = dict(farthest.select("experiment", "summary").rows())
    panels = [
        _panel(
            name,
            cautions[name],
            {key: table.filter(experiment=name) for key, table in tables.items()},
            limits,
        )
        for name in names
    ]
    covered = held_out["covered"].drop_nulls()
    explanations = [
        f"{scores['corpus'][0]}; line: measured; dashed line and fan: forecast with its 95 % "
        "prediction interval for the test speakers of this study",
        *(
            [
                "Grey bar: 95 % prediction interval for the largest size, forecast from the "
                f"smaller sizes; it contains the measured UA in {covered.sum()} of {len(covered)} "
                "experiments"
            ]
            if len(covered)
            else []
        ),
        *weights_lines(scores.filter(pl.col("experiment").is_in(names))),
    ]
    width = (_PANEL_PIXELS + _SPACING_PIXELS) * max(2, min(_COLUMNS, len(panels)))
    chart = alt.concat(*panels, columns=_COLUMNS, title=figure_title(_TITLE, explanations, width))
    spaced: alt.ConcatChart = chart.configure_concat(spacing=_SPACING_PIXELS)
    return spaced


def _panel(
    name: str, caution: str, tables: dict[str, pl.DataFrame], limits: list[float]
) -> alt.LayerChart | alt.FacetChart:
    scale = alt.Scale(domain=limits, nice=False)
    labels = [*tables["measured"]["labels"], *tables["fan"]["labels"]]
    x = alt.X("labels:Q", title="training utterances")
    x = x.scale(type="log", nice=False, padding=8)
    x = x.axis(format="~s", labelOverlap=True, values=axis_ticks(labels) or alt.Undefined)
    y = alt.Y("ua:Q", title="UA", scale=scale).axis(format=".0%")
    fan = alt.Chart(tables["fan"]).encode(x=x)
    tooltip = [
        alt.Tooltip("labels:Q", title="training utterances", format=",.0f"),
        alt.Tooltip("ua:Q", title="UA", format=".1%"),
    ]
    interval_tooltip = [
        alt.Tooltip("ua_low:Q", title="UA, lower end", format=".1%"),
        alt.Tooltip("ua_high:Q", title="UA, upper end", format=".1%"),
    ]
    layers: list[alt.Chart] = [
        fan.mark_area(opacity=0.25, color=COLOURS[4]).encode(
            y=alt.Y("ua_low:Q", scale=scale), y2="ua_high:Q"
        ),
        fan.mark_line(strokeDash=[5, 4], color=COLOURS[0], strokeWidth=2).encode(y=y),
        alt.Chart(tables["held_out"])
        .mark_rule(color="#999999", strokeWidth=5, opacity=0.6)
        .encode(
            x=x,
            y=alt.Y("ua_low:Q", scale=scale),
            y2="ua_high:Q",
            tooltip=[
                *tooltip,
                *interval_tooltip,
                alt.Tooltip("measured_ua:Q", title="measured UA", format=".1%"),
            ],
        ),
        fan.transform_filter("datum.ua_low < datum.ua_high")
        .mark_point(size=45, strokeWidth=1.5, color=COLOURS[0], shape="diamond")
        .encode(y=y, tooltip=[*tooltip, *interval_tooltip]),
    ]
    base = alt.Chart(tables["measured"]).encode(x=x, y=y)
    layers += [
        base.mark_line(color=COLOURS[0], strokeWidth=2),
        base.mark_point(filled=True, opacity=1, size=55, color=COLOURS[0]).encode(tooltip=tooltip),
    ]
    return alt.layer(*layers).properties(
        width=_PANEL_PIXELS,
        height=170,
        title=alt.TitleParams(
            wrap_text(name, _PANEL_PIXELS, font_size=13),
            subtitle=wrap_text(caution, _PANEL_PIXELS, font_size=11),
            anchor="start",
        ),
    )
