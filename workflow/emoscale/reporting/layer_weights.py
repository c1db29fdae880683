"""Which layers of a network the trained models take."""

from __future__ import annotations

from pathlib import Path

import altair as alt
import polars as pl

from emoscale.reporting.figures import COLOURS, largest_sizes, save, title, weights_lines, wrapped

_WORDS = "Which layers the models take, at the largest training size"
_COLUMNS = 3
_PANEL_PIXELS = 280
_SPACING_PIXELS = 30


def draw_layer_weights(
    layer_weights: pl.DataFrame, scores: pl.DataFrame, html: Path, svg: Path
) -> None:
    """Write the figure of `layer_weights_chart`."""
    save(layer_weights_chart(layer_weights, scores), html, svg)


def layer_weights_chart(
    layer_weights: pl.DataFrame, scores: pl.DataFrame
) -> alt.Chart | alt.ConcatChart:
    """A panel an experiment and representation: the mean share of each layer, with its spread.

    Shares are those of the experiment's largest training size, over all folds and repeats. Where
    the table has no rows, the figure says why: that a study has some is known only from its stores.
    """
    largest = largest_sizes(scores).select("experiment", "size", order=pl.int_range(pl.len()))
    data = layer_weights.join(largest, on=["experiment", "size"])
    if data.is_empty():
        return _nothing(scores["corpus"][0])
    shares = (
        data.group_by("order", "experiment", "representation", "layer", maintain_order=True)
        .agg(
            pl.col("weight").mean(),
            pl.col("weight").std().fill_null(0.0).alias("deviation"),
            pl.len().alias("models"),
        )
        .sort("order", maintain_order=True)
        .with_columns(
            (pl.col("weight") - pl.col("deviation")).clip(lower_bound=0.0).alias("low"),
            (pl.col("weight") + pl.col("deviation")).alias("high"),
        )
    )
    highest = dict(shares.group_by("representation").agg(pl.col("high").max()).iter_rows())
    panels = [
        _panel(panel, highest[representation])
        for (_, representation), panel in shares.group_by(
            "order", "representation", maintain_order=True
        )
    ]
    lines = [
        f"{scores['corpus'][0]}; mean over folds and repeats; line on a bar: one standard "
        "deviation over both to either side; dashed: equal shares, as before training",
        *weights_lines(scores.join(data, on="experiment", how="semi")),
    ]
    width = (_PANEL_PIXELS + _SPACING_PIXELS) * max(2, min(_COLUMNS, len(panels)))
    chart = alt.concat(*panels, columns=_COLUMNS, title=title(_WORDS, lines, width))
    spaced: alt.ConcatChart = chart.configure_concat(spacing=_SPACING_PIXELS)
    return spaced


def _panel(shares: pl.DataFrame, highest: float) -> alt.LayerChart | alt.FacetChart:
    """The layers of one representation in one experiment.

    `highest` is the top of the scale, which the panels of a representation share.
    """
    scale = alt.Scale(domain=[0.0, highest], nice=True)
    names = shares.row(0, named=True)
    x = alt.X("layer:O", title="layer").axis(labelAngle=0, labelOverlap=True)
    base = alt.Chart(shares).encode(x=x)
    bars = base.mark_bar(color=COLOURS[4]).encode(
        y=alt.Y("share:Q", title="weight", scale=scale).axis(format=".0%"),
        tooltip=[
            alt.Tooltip("experiment:N"),
            alt.Tooltip("representation:N"),
            alt.Tooltip("layer:O"),
            alt.Tooltip("share:Q", title="share, mean", format=".1%"),
            alt.Tooltip("deviation:Q", title="± over folds and repeats", format=".1%"),
            alt.Tooltip("models:Q", title="trained models"),
        ],
    )
    spread = base.mark_rule().encode(y=alt.Y("low:Q", scale=scale), y2="high:Q")
    equal = alt.Chart(pl.DataFrame({"equal": [1 / len(shares)]}))
    return alt.layer(
        bars,
        spread,
        equal.mark_rule(strokeDash=[5, 4]).encode(y=alt.Y("equal:Q", scale=scale)),
    ).properties(
        width=_PANEL_PIXELS,
        height=180,
        title=alt.TitleParams(
            wrapped(names["experiment"], _PANEL_PIXELS, size=13),
            subtitle=wrapped(f"layers of {names['representation']}", _PANEL_PIXELS),
        ),
    )


def _nothing(corpus: str) -> alt.Chart:
    """The figure of a study without weighed layers."""
    reason = (
        f"{corpus}; no experiment of this study weighs the layers of a network: each reads one "
        "layer, or a representation without layers"
    )
    empty = alt.Chart(pl.DataFrame({"text": [""]})).mark_text().encode(text="text:N")
    sized = empty.properties(width=480, height=10, title=title(_WORDS, [reason], 480))
    frameless: alt.Chart = sized.configure_view(stroke=None)
    return frameless
