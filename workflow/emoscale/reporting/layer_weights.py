"""Learned layer weights of the trained models, one panel per experiment and representation."""

from __future__ import annotations

from pathlib import Path

import altair as alt
import polars as pl

from emoscale.evaluation.scores import largest_sizes
from emoscale.reporting.figures import (
    COLOURS,
    empty_figure,
    figure_title,
    save,
    weights_lines,
    wrap_text,
)

_TITLE = "Layer weights at the largest training size"
_COLUMNS = 3
_PANEL_PIXELS = 280
_SPACING_PIXELS = 30


def draw_layer_weights(
    layer_weights: pl.DataFrame, scores: pl.DataFrame, html: Path, svg: Path
) -> None:
    """Write the figure of `layer_weights_chart`.

    Parameters
    ----------
    layer_weights : DataFrame
        The table of layer weights.
    scores : DataFrame
        The table of scores.
    html, svg : Path
        Files to write.
    """
    save(layer_weights_chart(layer_weights, scores), html, svg)


def layer_weights_chart(
    layer_weights: pl.DataFrame, scores: pl.DataFrame
) -> alt.Chart | alt.ConcatChart:
    """Return the mean and standard deviation of each layer weight over folds and repeats.

    The weights are of the experiment's largest training size. A study may have no layer weights,
    which is known only when its feature files are read: the figure then states the reason.

    Parameters
    ----------
    layer_weights : DataFrame
        The table of layer weights.
    scores : DataFrame
        The table of scores.

    Returns
    -------
    altair.Chart or altair.ConcatChart
        The figure.
    """
    largest = largest_sizes(scores).select("experiment", "size", order=pl.int_range(pl.len()))
    data = layer_weights.join(largest, on=["experiment", "size"])
    if data.is_empty():
        return empty_figure(
            _TITLE,
            f"{scores['corpus'][0]}; no experiment of this study has layer weights: each uses one "
            "layer, or a representation without layers",
        )
    means = (
        data.group_by("order", "experiment", "representation", "layer", maintain_order=True)
        .agg(
            pl.col("weight").mean(),
            pl.col("weight").std().fill_null(0.0).alias("std"),
            pl.len().alias("models"),
        )
        .sort("order", maintain_order=True)
        .with_columns(
            (pl.col("weight") - pl.col("std")).clip(lower_bound=0.0).alias("low"),
            (pl.col("weight") + pl.col("std")).alias("high"),
        )
    )
    maximum = dict(means.group_by("representation").agg(pl.col("high").max()).iter_rows())
    panels = [
        _panel(panel, maximum[representation])
        for (_, representation), panel in means.group_by(
            "order", "representation", maintain_order=True
        )
    ]
    explanations = [
        f"{scores['corpus'][0]}; bar: mean over folds and repeats; line: mean ± one standard "
        "deviation; dashed: equal weights, as before training",
        *weights_lines(scores.join(data, on="experiment", how="semi")),
    ]
    width = (_PANEL_PIXELS + _SPACING_PIXELS) * max(2, min(_COLUMNS, len(panels)))
    chart = alt.concat(*panels, columns=_COLUMNS, title=figure_title(_TITLE, explanations, width))
    spaced: alt.ConcatChart = chart.configure_concat(spacing=_SPACING_PIXELS)
    return spaced


def _panel(means: pl.DataFrame, maximum: float) -> alt.LayerChart | alt.FacetChart:
    """Return the layers of one representation in one experiment.

    All panels of a representation have the same y axis, up to `maximum`.
    """
    scale = alt.Scale(domain=[0.0, maximum], nice=True)
    names = means.row(0, named=True)
    x = alt.X("layer:O", title="layer").axis(labelAngle=0, labelOverlap=True)
    base = alt.Chart(means).encode(x=x)
    bars = base.mark_bar(color=COLOURS[4]).encode(
        y=alt.Y("weight:Q", title="layer weight", scale=scale).axis(format=".0%"),
        tooltip=[
            alt.Tooltip("experiment:N"),
            alt.Tooltip("representation:N"),
            alt.Tooltip("layer:O"),
            alt.Tooltip("weight:Q", title="layer weight, mean", format=".1%"),
            alt.Tooltip("std:Q", title="standard deviation", format=".1%"),
            alt.Tooltip("models:Q", title="trained models"),
        ],
    )
    deviations = base.mark_rule().encode(y=alt.Y("low:Q", scale=scale), y2="high:Q")
    equal = alt.Chart(pl.DataFrame({"equal": [1 / len(means)]}))
    return alt.layer(
        bars,
        deviations,
        equal.mark_rule(strokeDash=[5, 4]).encode(y=alt.Y("equal:Q", scale=scale)),
    ).properties(
        width=_PANEL_PIXELS,
        height=180,
        title=alt.TitleParams(
            wrap_text(names["experiment"], _PANEL_PIXELS, font_size=13),
            subtitle=wrap_text(f"layers of {names['representation']}", _PANEL_PIXELS),
        ),
    )
