"""Robustness: UA (unweighted accuracy) of trained models on perturbed test audio."""

from __future__ import annotations

from pathlib import Path

import altair as alt
import polars as pl

from emoscale.config.robustness import CLEAN
from emoscale.reporting.figures import (
    COLOURS,
    colour_and_shape_scales,
    figure_title,
    save,
    weights_lines,
)

_TITLE = "UA on perturbed test audio"
_AXIS_TITLES = {
    "white noise": "white noise: signal-to-noise ratio, dB",
    "babble": "babble: signal-to-noise ratio, dB",
    "reverberation": "reverberation time (RT60), s",
    "telephone": "telephone band",
}
_PANEL_PIXELS = 220
_LEGEND_PIXELS = 800  # names of experiments have at most 64 characters
_NAME = "name"


def draw_robustness(robustness: pl.DataFrame, scores: pl.DataFrame, html: Path, svg: Path) -> None:
    """Write the figure of `robustness_chart`.

    Parameters
    ----------
    robustness : DataFrame
        The table of robustness.
    scores : DataFrame
        The table of scores.
    html, svg : Path
        Files to write.
    """
    save(robustness_chart(robustness, scores), html, svg)


def robustness_chart(robustness: pl.DataFrame, scores: pl.DataFrame) -> alt.TopLevelMixin:
    """Return one panel per kind of perturbation: UA against its level, clean audio at the left.

    Each row of panels has at most as many experiments as there are colours.

    Parameters
    ----------
    robustness : DataFrame
        The table of robustness.
    scores : DataFrame
        The table of scores.

    Returns
    -------
    altair.TopLevelMixin
        The figure.
    """
    order = scores.unique("experiment", keep="first", maintain_order=True)["experiment"].to_list()
    several = robustness.group_by("experiment").agg(pl.col("size").n_unique())["size"].max() != 1
    name = pl.format("{}, {}", "experiment", "size") if several else pl.col("experiment")
    data = robustness.with_columns(name.alias(_NAME))
    names = sorted(
        data[_NAME].unique(maintain_order=True),
        key=lambda name: order.index(data.filter(pl.col(_NAME) == name)["experiment"][0]),
    )
    kinds = [kind for kind in _AXIS_TITLES if kind in set(data["kind"])]
    limits = _limits(data, scores)
    rows = [
        alt.hconcat(
            *(_panel(data, names[start : start + len(COLOURS)], kind, limits) for kind in kinds)
        )
        for start in range(0, len(names), len(COLOURS))
    ]
    explanations = [
        f"{scores['corpus'][0]}; the same trained models on perturbed test audio; point: UA "
        "(unweighted accuracy), all folds pooled; line: 95 % confidence interval (bootstrap over "
        f"speakers and trainings); at the left: {CLEAN} audio",
        *weights_lines(scores.join(robustness, on="experiment", how="semi")),
    ]
    title = figure_title(_TITLE, explanations, max(560, (_PANEL_PIXELS + 60) * len(kinds)))
    figure = alt.vconcat(*rows, title=title)
    chart: alt.VConcatChart = figure.resolve_scale(color="independent", shape="independent")
    return chart


def _panel(
    data: pl.DataFrame, names: list[str], kind: str, limits: list[float]
) -> alt.LayerChart | alt.FacetChart:
    selected = data.filter(pl.col(_NAME).is_in(names), pl.col("kind").is_in([CLEAN, kind]))
    levels = selected.filter(pl.col("kind") == kind).select("level", "unit", "condition").unique()
    mildest_first = (levels["unit"] == "dB").any()
    number = pl.col("level").round(2).cast(pl.String).str.strip_suffix(".0")
    label = (
        pl.when(pl.col("kind") == CLEAN)
        .then(pl.lit(CLEAN))
        .otherwise(pl.coalesce(number, "condition"))  # the telephone condition has no level
    )
    selected = selected.with_columns(label=label)
    ordered = selected.filter(pl.col("kind") == kind).sort("level", descending=mildest_first)
    labels = [CLEAN, *ordered["label"].unique(maintain_order=True)]
    colours, shapes = colour_and_shape_scales(names)
    x = alt.X("label:O", title=_AXIS_TITLES[kind], sort=labels).axis(labelAngle=0)
    y_scale = alt.Scale(domain=limits, nice=False)
    offset = alt.XOffset(f"{_NAME}:N", sort=names, scale=alt.Scale(paddingOuter=0.8))
    legend = alt.Legend(symbolOpacity=1, labelLimit=_LEGEND_PIXELS)
    colour = alt.Color(f"{_NAME}:N", title="experiment", scale=colours, sort=names, legend=legend)
    base = alt.Chart(selected).encode(x=x, xOffset=offset, color=colour)
    intervals = (
        base.transform_filter("isValid(datum.ua_low)")
        .mark_rule(strokeWidth=1.5)
        .encode(y=alt.Y("ua_low:Q", scale=y_scale), y2="ua_high:Q")
    )
    y = alt.Y("ua:Q", title="UA", scale=y_scale).axis(format=".0%")
    curves = base.mark_line(strokeWidth=1, opacity=0.6).encode(y=y)
    points = base.mark_point(filled=True, size=70, opacity=1).encode(
        y=y,
        shape=alt.Shape(f"{_NAME}:N", title="experiment", scale=shapes, sort=names, legend=legend),
        tooltip=[
            alt.Tooltip("experiment:N"),
            alt.Tooltip("size:N", title="training size"),
            alt.Tooltip("condition:N"),
            alt.Tooltip("ua:Q", title="UA", format=".1%"),
            alt.Tooltip("ua_low:Q", title="UA, lower end", format=".1%"),
            alt.Tooltip("ua_high:Q", title="UA, upper end", format=".1%"),
            alt.Tooltip("drop:Q", title="drop from clean", format=".1%"),
            alt.Tooltip("drop_low:Q", title="drop, lower end", format=".1%"),
            alt.Tooltip("drop_high:Q", title="drop, upper end", format=".1%"),
        ],
    )
    return alt.layer(intervals, curves, points).properties(width=_PANEL_PIXELS, height=240)


def _limits(data: pl.DataFrame, scores: pl.DataFrame) -> list[float]:
    """Return the y range of the data and of chance, in whole tenths."""
    values = [*data["ua"], *data["ua_low"].drop_nulls(), *data["ua_high"].drop_nulls()]
    low = min(*values, float(scores["chance_ua"][0]))
    return [max(0.0, low * 10 // 1 / 10), min(1.0, -(-max(values) * 10 // 1) / 10)]
