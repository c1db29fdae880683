"""Confusion matrices, one per experiment."""

from __future__ import annotations

from pathlib import Path

import altair as alt
import polars as pl

from emoscale.evaluation.scores import largest_sizes
from emoscale.reporting.figures import figure_title, save, weights_lines, wrap_text

_CELL_PIXELS = 60
_SPACING_PIXELS = 30
_LABEL_SIZE = 12


def draw_confusion(confusion: pl.DataFrame, scores: pl.DataFrame, html: Path, svg: Path) -> None:
    """Write the figure of `confusion_chart`.

    Parameters
    ----------
    confusion : DataFrame
        The table of confusions.
    scores : DataFrame
        The table of scores.
    html, svg : Path
        Files to write.
    """
    save(confusion_chart(confusion, scores), html, svg)


def confusion_chart(confusion: pl.DataFrame, scores: pl.DataFrame) -> alt.FacetChart:
    """Return one confusion matrix per experiment, at its largest training size.

    Each row of a matrix is normalised to sum to 1.

    Parameters
    ----------
    confusion : DataFrame
        The table of confusions.
    scores : DataFrame
        The table of scores.

    Returns
    -------
    altair.FacetChart
        The figure.
    """
    largest = largest_sizes(scores)
    classes = sorted(confusion["label"].unique())
    size = _CELL_PIXELS * len(classes)
    panels = [
        "\n".join([*wrap_text(name, size, _LABEL_SIZE), f"UA {100 * ua:.1f} %"])
        for name, ua in largest.select("experiment", "ua").iter_rows()
    ]
    data = confusion.join(
        largest.select("experiment", "size", panel=pl.Series(panels)), on=["experiment", "size"]
    )
    base = alt.Chart(data).encode(
        x=alt.X("predicted:N", title="predicted class", sort=classes).axis(labelAngle=-35),
        y=alt.Y("label:N", title="true class", sort=classes).axis(titlePadding=16),
    )
    cells = base.mark_rect().encode(
        color=alt.Color(
            "fraction:Q",
            title=["fraction of the", "true class"],
            scale=alt.Scale(domain=[0, 1], scheme="blues"),
        ).legend(format=".0%"),
        tooltip=[
            alt.Tooltip("experiment:N"),
            alt.Tooltip("label:N", title="true class"),
            alt.Tooltip("predicted:N", title="predicted class"),
            alt.Tooltip("fraction:Q", format=".1%"),
            alt.Tooltip("utterances:Q", format=",.1f", title="utterances (mean over repeats)"),
        ],
    )
    numbers = base.mark_text(fontSize=13).encode(
        text=alt.Text("fraction:Q", format=".0%"),
        color=alt.condition(alt.datum.fraction > 0.55, alt.value("white"), alt.value("black")),
    )
    columns = 3 if len(panels) <= 9 else 4
    header = alt.Header(
        labelExpr="split(datum.label, '\\n')",
        labelFontSize=_LABEL_SIZE,
    )
    chart: alt.FacetChart = (
        alt.layer(cells, numbers)
        .properties(width=size, height=size)
        .facet(
            facet=alt.Facet("panel:N", title=None, sort=panels, header=header),
            columns=columns,
            spacing=_SPACING_PIXELS,
        )
        .properties(
            title=figure_title(
                "Confusion matrices at the largest training size",
                [
                    f"{scores['corpus'][0]}; all folds pooled; mean over repeats",
                    *weights_lines(scores),
                ],
                width=max(480, (size + _SPACING_PIXELS) * min(columns, len(panels))),
            )
        )
    )
    return chart
