"""Loss and ranking during the pre-trainings of a study."""

from __future__ import annotations

from pathlib import Path

import altair as alt
import polars as pl

from emoscale.reporting.figures import COLOURS, empty_figure, figure_title, save

_TITLE = "Pre-training on unlabelled speech"
_WIDTH = 520


def draw_pretraining(history: pl.DataFrame, html: Path, svg: Path) -> None:
    """Write the figure of `pretraining_chart`.

    Parameters
    ----------
    history : DataFrame
        The table of pre-trainings.
    html, svg : Path
        Files to write.
    """
    save(pretraining_chart(history), html, svg)


def pretraining_chart(history: pl.DataFrame) -> alt.Chart | alt.VConcatChart:
    """Return the figures of loss and ranking, one above the other.

    Parameters
    ----------
    history : DataFrame
        The table of pre-trainings (schema `pretraining.history.HISTORY`).

    Returns
    -------
    altair.Chart or altair.VConcatChart
        The figure.
    """
    if history.is_empty():
        return empty_figure(_TITLE, "No pre-training of this study has training steps.")
    return alt.vconcat(loss_chart(history), ranking_chart(history))


def loss_chart(history: pl.DataFrame) -> alt.Chart:
    """Return the loss against hours of speech, one line per checkpoint.

    Parameters
    ----------
    history : DataFrame
        The table of pre-trainings, with rows.

    Returns
    -------
    altair.Chart
        The figure; solid lines are of held-out speech, dashed ones of training speech.
    """
    explanations = [
        "solid: held-out speech; dashed: training speech, mean since the point before",
        "An hour of speech counts each time that it is trained on",
    ]
    chart: alt.Chart = _lines(
        history, "loss", "loss per prediction, nats", ".3f", zero=False
    ).properties(title=figure_title(f"{_TITLE}: loss", explanations, _WIDTH))
    return chart


def ranking_chart(history: pl.DataFrame) -> alt.LayerChart | alt.FacetChart:
    """Return how often the true frame ranks first of all candidates, against hours of speech.

    Parameters
    ----------
    history : DataFrame
        The table of pre-trainings, with rows.

    Returns
    -------
    altair.LayerChart or altair.FacetChart
        The figure; solid lines are of held-out speech, dashed ones of training speech.
    """
    chance = alt.Chart(history.unique("chance", maintain_order=True).select("chance"))
    explanations = [
        "solid: held-out speech; dashed: training speech, mean since the point before; dotted: "
        "chance"
    ]
    chart = alt.layer(
        _lines(history, "ranks_first", "true frame ranks first", ".1%", zero=True),
        chance.mark_rule(strokeDash=[2, 3], color="grey").encode(y="chance:Q"),
    ).properties(title=figure_title(f"{_TITLE}: ranking", explanations, _WIDTH))
    return chart


def _lines(history: pl.DataFrame, column: str, title: str, number: str, *, zero: bool) -> alt.Chart:
    names = history["checkpoint"].unique(maintain_order=True).to_list()
    data = pl.concat(
        history.select(
            *("checkpoint", "step", "hours"),
            pl.col(f"{prefix}{column}").fill_nan(None).alias(column),
            speech=pl.lit(speech),
        )
        for speech, prefix in (("held out", "held_out_"), ("training", ""))
    )
    colours = alt.Scale(domain=names, range=COLOURS[: len(names)])
    dashes = alt.Scale(domain=["held out", "training"], range=[[1, 0], [5, 4]])
    chart: alt.Chart = (
        alt.Chart(data)
        .mark_line(point=True)
        .encode(
            x=alt.X("hours:Q", title="hours of speech trained on"),
            y=alt.Y(f"{column}:Q", title=title, scale=alt.Scale(zero=zero)).axis(
                format=".0%" if zero else "~g"
            ),
            color=alt.Color("checkpoint:N", title="checkpoint", scale=colours, sort=names),
            strokeDash=alt.StrokeDash("speech:N", scale=dashes, legend=None),  # in the subtitle
            tooltip=[
                alt.Tooltip("checkpoint:N"),
                alt.Tooltip("speech:N"),
                alt.Tooltip("step:Q", format=","),
                alt.Tooltip("hours:Q", title="hours of speech", format=".2f"),
                alt.Tooltip(f"{column}:Q", title=title, format=number),
            ],
        )
        .properties(width=_WIDTH, height=220)
    )
    return chart
