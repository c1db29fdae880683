"""Matrices of UA (unweighted accuracy) by training and test corpus, one per experiment."""

from __future__ import annotations

from pathlib import Path

import altair as alt
import polars as pl

from emoscale.evaluation.scores import largest_sizes
from emoscale.reporting.figures import figure_title, save, weights_lines, wrap_text

_CELL_PIXELS = 92
_SPACING_PIXELS = 30
_LABEL_SIZE = 12


def draw_corpus_pairs(pairs: pl.DataFrame, scores: pl.DataFrame, html: Path, svg: Path) -> None:
    """Write the figure of `corpus_pairs_chart`.

    Parameters
    ----------
    pairs : DataFrame
        The table of corpus pairs.
    scores : DataFrame
        The table of scores.
    html, svg : Path
        Files to write.
    """
    save(corpus_pairs_chart(pairs, scores), html, svg)


def corpus_pairs_chart(pairs: pl.DataFrame, scores: pl.DataFrame) -> alt.FacetChart:
    """Return one matrix per experiment, at its largest training size.

    A row is a training corpus, a column a test corpus; the diagonal is within a corpus.

    Parameters
    ----------
    pairs : DataFrame
        The table of corpus pairs.
    scores : DataFrame
        The table of scores.

    Returns
    -------
    altair.FacetChart
        The figure.
    """
    largest = largest_sizes(scores).select("experiment", "size")
    corpora = sorted(pairs["test_corpus"].unique())
    size = _CELL_PIXELS * len(corpora)
    panels = ["\n".join(wrap_text(name, size, _LABEL_SIZE)) for name in largest["experiment"]]
    percent = {
        end: (100 * pl.col(end)).round(0).cast(pl.Int32) for end in ("ua", "ua_low", "ua_high")
    }
    interval = pl.format("\n{} to {} %", percent["ua_low"], percent["ua_high"]).fill_null("")
    data = pairs.join(
        largest.with_columns(panel=pl.Series(panels)), on=["experiment", "size"]
    ).with_columns(text=pl.format("{} %", percent["ua"]) + interval)
    base = alt.Chart(data).encode(
        x=alt.X("test_corpus:N", title="test corpus", sort=corpora).axis(labelAngle=-35),
        y=alt.Y("training_corpus:N", title="training corpus", sort=corpora).axis(titlePadding=16),
    )
    cells = base.mark_rect().encode(
        color=alt.Color("ua:Q", title="UA", scale=alt.Scale(domain=[0, 1], scheme="blues")).legend(
            format=".0%"
        ),
        tooltip=[
            alt.Tooltip("experiment:N"),
            alt.Tooltip("training_corpus:N", title="training corpus"),
            alt.Tooltip("test_corpus:N", title="test corpus"),
            alt.Tooltip("ua:Q", title="UA", format=".1%"),
            alt.Tooltip("ua_low:Q", title="UA, lower end", format=".1%"),
            alt.Tooltip("ua_high:Q", title="UA, upper end", format=".1%"),
            alt.Tooltip("wa:Q", title="WA", format=".1%"),
            alt.Tooltip("training_utterances_mean:Q", title="training labels", format=",.0f"),
            alt.Tooltip("utterances:Q", title="test utterances"),
            alt.Tooltip("speakers:Q", title="test speakers"),
        ],
    )
    numbers = base.mark_text(fontSize=13, lineBreak="\n", lineHeight=16, dy=-8).encode(
        text="text:N",
        color=alt.condition(alt.datum.ua > 0.55, alt.value("white"), alt.value("black")),
    )
    columns = 3
    header = alt.Header(labelExpr="split(datum.label, '\\n')", labelFontSize=_LABEL_SIZE)
    facet = alt.Facet("panel:N", title=None, sort=panels, header=header)
    explanations = [
        f"{scores['corpus'][0]}; UA (unweighted accuracy) of each test corpus, mean over repeats, "
        "with its 95 % confidence interval (bootstrap over speakers and trainings), for at least "
        "five test speakers; on the diagonal, within a corpus: by models that are trained on its "
        f"other speakers; chance: {scores['chance_ua'][0]:.0%}",
        *weights_lines(scores),
    ]
    width = max(560, (size + _SPACING_PIXELS) * min(columns, len(panels)))
    chart: alt.FacetChart = (
        alt.layer(cells, numbers)
        .properties(width=size, height=size)
        .facet(facet=facet, columns=columns, spacing=_SPACING_PIXELS)
        .properties(
            title=figure_title(
                "From corpus to corpus: UA at the largest training size", explanations, width
            )
        )
    )
    return chart
