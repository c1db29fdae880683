"""Which class is taken for which."""

from __future__ import annotations

from pathlib import Path

import altair as alt
import polars as pl

from emoscale.reporting.figures import save, weights_lines


def draw_confusion(confusion: pl.DataFrame, scores: pl.DataFrame, html: Path, svg: Path) -> None:
    """A matrix an experiment, at its largest training size; the shares of a row sum to 1."""
    largest = (
        scores.with_row_index("row")
        .sort("training_utterances_mean", "row")
        .group_by("experiment")
        .last()
        .sort("row")
    )
    data = confusion.join(largest.select("experiment", "size", "ua"), on=["experiment", "size"])
    data = data.with_columns(
        panel=pl.format(
            "{} (UA {} %)", pl.col("experiment"), (pl.col("ua") * 100).round(1).cast(pl.String)
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
    size = 60 * len(classes)
    chart = (
        alt.layer(cells, numbers)
        .properties(width=size, height=size)
        .facet(facet=alt.Facet("panel:N", title=None, sort=panels), columns=3)
        .properties(
            title=alt.TitleParams(
                "Which class is taken for which, at the largest training size",
                subtitle=[
                    f"{scores['corpus'][0]}; all folds pooled, mean over repeats",
                    *weights_lines(scores),
                ],
                anchor="start",
            )
        )
    )
    save(chart, html, svg)
