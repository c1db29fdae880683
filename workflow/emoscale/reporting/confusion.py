"""Which class is taken for which."""

from __future__ import annotations

from pathlib import Path

import altair as alt
import polars as pl

from emoscale.reporting.figures import largest_sizes, save, title, weights_lines

_CELL_PIXELS = 60
_SPACING_PIXELS = 30


def draw_confusion(confusion: pl.DataFrame, scores: pl.DataFrame, html: Path, svg: Path) -> None:
    """A matrix an experiment, at its largest training size; the shares of a row sum to 1."""
    largest = largest_sizes(scores)
    data = confusion.join(largest.select("experiment", "size", "ua"), on=["experiment", "size"])
    data = data.with_columns(
        panel=pl.format(
            "{}\nUA {} %", pl.col("experiment"), (pl.col("ua") * 100).round(1).cast(pl.String)
        )
    )
    data = data.join(largest.select("experiment", order=pl.int_range(pl.len())), on="experiment")
    panels = data.sort("order")["panel"].unique(maintain_order=True).to_list()
    classes = sorted(data["label"].unique())
    base = alt.Chart(data).encode(
        x=alt.X("predicted:N", title="predicted class", sort=classes).axis(labelAngle=-35),
        y=alt.Y("label:N", title="true class", sort=classes).axis(titlePadding=16),
    )
    cells = base.mark_rect().encode(
        color=alt.Color(
            "share:Q",
            title=["share of the", "true class"],
            scale=alt.Scale(domain=[0, 1], scheme="blues"),
        ).legend(format=".0%"),
        tooltip=[
            alt.Tooltip("experiment:N"),
            alt.Tooltip("label:N", title="true class"),
            alt.Tooltip("predicted:N", title="predicted class"),
            alt.Tooltip("share:Q", format=".1%"),
            alt.Tooltip("utterances:Q", format=",.1f", title="utterances (mean over repeats)"),
        ],
    )
    numbers = base.mark_text(fontSize=13).encode(
        text=alt.Text("share:Q", format=".0%"),
        color=alt.condition(alt.datum.share > 0.55, alt.value("white"), alt.value("black")),
    )
    size = _CELL_PIXELS * len(classes)
    columns = 3 if len(panels) <= 9 else 4
    header = alt.Header(
        labelExpr="split(datum.label, '\\n')",
        labelFontSize=12,
        labelLimit=size + _SPACING_PIXELS,  # the next panel's label begins there
    )
    chart = (
        alt.layer(cells, numbers)
        .properties(width=size, height=size)
        .facet(
            facet=alt.Facet("panel:N", title=None, sort=panels, header=header),
            columns=columns,
            spacing=_SPACING_PIXELS,
        )
        .properties(
            title=title(
                "Which class is taken for which, at the largest training size",
                [
                    f"{scores['corpus'][0]}; all folds pooled, mean over repeats",
                    *weights_lines(scores),
                ],
                width=max(480, (size + _SPACING_PIXELS) * min(columns, len(panels))),
            )
        )
    )
    save(chart, html, svg)
