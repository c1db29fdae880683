"""Learning curves, and where they lead."""

from __future__ import annotations

from pathlib import Path

import altair as alt
import polars as pl

from emoscale.reporting.figures import COLOURS, save, title, weights_lines, wrapped
from emoscale.reporting.learning_curves import round_numbers

_WORDS = "What more labels would give"
_COLUMNS = 3
_PANEL_PIXELS = 250
_SPACING_PIXELS = 30


def draw_forecast(forecast: pl.DataFrame, scores: pl.DataFrame, *paths: Path) -> None:
    """Write the figure of `forecast_chart`."""
    save(forecast_chart(forecast, scores), *paths)


def forecast_chart(forecast: pl.DataFrame, scores: pl.DataFrame) -> alt.TopLevelMixin:
    """A panel an experiment with forecasts: its measured curve, and the fan of what may follow.

    Beside the last point stands what was forecast of it from the points before it.
    """
    further = forecast.filter(kind="forecast")
    names = further.unique("experiment", keep="first", maintain_order=True)["experiment"].to_list()
    if not names:
        return _nothing(scores["corpus"][0])
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
    hidden = forecast.filter(kind="hidden")
    every = [*measured["ua"], *fan["ua_low"].drop_nulls(), *fan["ua_high"].drop_nulls()]
    chance = float(scores["chance_ua"][0])
    limits = [max(0.0, min(*every, chance) - 0.05), min(1.0, max(every) + 0.05)]
    shown = {"measured": measured, "fan": fan, "hidden": hidden}
    panels = [
        _panel(name, {part: rows.filter(experiment=name) for part, rows in shown.items()}, limits)
        for name in names
    ]
    inside = hidden["covered"].drop_nulls()
    lines = [
        f"{scores['corpus'][0]}; line: measured; dashed, with fan: forecast, and 95 % interval of "
        "what would be measured on these speakers",
        *(
            [
                "grey bar: 95 % interval forecast for the last size from the sizes before it; "
                f"inside it was what was measured: {inside.sum()} of {len(inside)}"
            ]
            if len(inside)
            else []
        ),
        *weights_lines(scores.filter(pl.col("experiment").is_in(names))),
    ]
    width = (_PANEL_PIXELS + _SPACING_PIXELS) * max(2, min(_COLUMNS, len(panels)))
    chart = alt.concat(*panels, columns=_COLUMNS, title=title(_WORDS, lines, width))
    spaced: alt.ConcatChart = chart.configure_concat(spacing=_SPACING_PIXELS)
    return spaced


def _panel(
    name: str, rows: dict[str, pl.DataFrame], limits: list[float]
) -> alt.LayerChart | alt.FacetChart:
    scale = alt.Scale(domain=limits, nice=False)
    every = [*rows["measured"]["labels"], *rows["fan"]["labels"]]
    x = alt.X("labels:Q", title="training utterances")
    x = x.scale(type="log", nice=False, padding=8)
    x = x.axis(format="~s", labelOverlap=True, values=round_numbers(every) or alt.Undefined)
    y = alt.Y("ua:Q", title="UA", scale=scale).axis(format=".0%")
    fan = alt.Chart(rows["fan"]).encode(x=x)
    tooltip = [
        alt.Tooltip("labels:Q", title="training utterances", format=",.0f"),
        alt.Tooltip("ua:Q", title="UA", format=".1%"),
    ]
    ends = [
        alt.Tooltip("ua_low:Q", title="from", format=".1%"),
        alt.Tooltip("ua_high:Q", title="to", format=".1%"),
    ]
    layers: list[alt.Chart] = [
        fan.mark_area(opacity=0.25, color=COLOURS[4]).encode(
            y=alt.Y("ua_low:Q", scale=scale), y2="ua_high:Q"
        ),
        fan.mark_line(strokeDash=[5, 4], color=COLOURS[0], strokeWidth=2).encode(y=y),
        alt.Chart(rows["hidden"])
        .mark_rule(color="#999999", strokeWidth=5, opacity=0.6)
        .encode(
            x=x,
            y=alt.Y("ua_low:Q", scale=scale),
            y2="ua_high:Q",
            tooltip=[*tooltip, *ends, alt.Tooltip("measured_ua:Q", title="measured", format=".1%")],
        ),
        fan.transform_filter("datum.ua_low < datum.ua_high")
        .mark_point(size=45, strokeWidth=1.5, color=COLOURS[0], shape="diamond")
        .encode(y=y, tooltip=[*tooltip, *ends]),
    ]
    base = alt.Chart(rows["measured"]).encode(x=x, y=y)
    layers += [
        base.mark_line(color=COLOURS[0], strokeWidth=2),
        base.mark_point(filled=True, opacity=1, size=55, color=COLOURS[0]).encode(tooltip=tooltip),
    ]
    return alt.layer(*layers).properties(
        width=_PANEL_PIXELS,
        height=170,
        title=alt.TitleParams(wrapped(name, _PANEL_PIXELS, size=13), anchor="start"),
    )


def _nothing(corpus: str) -> alt.Chart:
    reason = f"{corpus}; every experiment of this study is trained at one size, so none has a curve"
    empty = alt.Chart(pl.DataFrame({"text": [""]})).mark_text().encode(text="text:N")
    sized = empty.properties(width=480, height=10, title=title(_WORDS, [reason], 480))
    frameless: alt.Chart = sized.configure_view(stroke=None)
    return frameless
