"""Forest plot: how far each experiment is from the best one, with intervals."""

from __future__ import annotations

from pathlib import Path

import altair as alt
import polars as pl

from emoscale.reporting.figures import COLOURS, largest_sizes, save, title

_APART, _ALIKE = "differs, after Holm's correction", "not shown to differ"
_ROW_PIXELS = 24
_NAME_PIXELS = 440  # a study's names have 64 characters at most


def draw_forest(comparisons: pl.DataFrame, scores: pl.DataFrame, *paths: Path) -> None:
    """Write the figure of `forest_chart`."""
    save(forest_chart(comparisons, scores), *paths)


def forest_chart(comparisons: pl.DataFrame, scores: pl.DataFrame) -> alt.TopLevelMixin:
    """A row an experiment: its UA less that of the best, at the largest size that both have.

    `comparisons` as of `evaluation.comparisons`. The best is the experiment of the highest UA at
    its own largest size; a pair each with it keeps the figure to a page, however many there are.
    """
    best = largest_sizes(scores).sort("ua", descending=True, maintain_order=True)["experiment"][0]
    data = pairs_with(best, comparisons, scores)
    if data.is_empty():
        return _nothing()
    family = comparisons["family"][0]
    lines = [
        f"{scores['corpus'][0]}; at the largest training size that both have; line: 95 % interval "
        "of this difference alone, clustered by speaker",
        f"The best is the highest measured UA. {family} comparisons of the study are corrected "
        "together.",
    ]
    order = data["experiment"].to_list()
    y = alt.Y("experiment:N", title=None, sort=order).axis(
        labelLimit=_NAME_PIXELS, ticks=False, domain=False, labelPadding=8
    )
    scale = alt.Scale(domain=_limits(data), nice=True)
    x = alt.X("difference:Q", title=f"UA less that of {best}, percentage points", scale=scale)
    x = x.axis(tickCount=8)
    kinds = [_APART, _ALIKE]
    colour = alt.Color("kind:N", title=None, scale=alt.Scale(domain=kinds, range=COLOURS[1::-1]))
    shape = alt.Shape(
        "kind:N", title=None, scale=alt.Scale(domain=kinds, range=["circle", "diamond"])
    )
    legend = alt.Legend(orient="top", direction="horizontal", labelLimit=400)
    tooltip = [
        alt.Tooltip("experiment:N"),
        alt.Tooltip("size:N", title="training size"),
        alt.Tooltip("labels:Q", title="labels", format=",.0f"),
        alt.Tooltip("difference:Q", title="points less than the best", format="+.1f"),
        alt.Tooltip("difference_low:Q", title="from", format="+.1f"),
        alt.Tooltip("difference_high:Q", title="to", format="+.1f"),
        alt.Tooltip("p_holm:Q", title="p, corrected", format=".3g"),
        alt.Tooltip("effect_size:Q", title="effect size", format="+.2f"),
    ]
    base = alt.Chart(data).encode(y=y, tooltip=tooltip)
    lines_drawn = base.mark_rule(strokeWidth=2).encode(
        x=alt.X("difference_low:Q", scale=scale),
        x2="difference_high:Q",
        color=colour.legend(legend),
    )
    points = base.mark_point(size=80, filled=True, opacity=1).encode(
        x=x, color=colour.legend(legend), shape=shape.legend(legend)
    )
    zero = (
        alt.Chart(pl.DataFrame({"zero": [0.0]}))
        .mark_rule(strokeDash=[5, 4])
        .encode(x=alt.X("zero:Q", scale=scale))
    )
    height = _ROW_PIXELS * len(data)
    forest = alt.layer(zero, lines_drawn, points).properties(width=420, height=height)
    words = (
        alt.Chart(data)
        .mark_text(align="left", fontSize=11)
        .encode(
            y=alt.Y("experiment:N", sort=order).axis(None), x=alt.value(4), text=alt.Text("words:N")
        )
        .properties(width=210, height=height)
    )
    chart: alt.TopLevelMixin = (
        alt.hconcat(forest, words, spacing=4)
        .resolve_scale(y="shared")
        .properties(title=title(f"How far the others are from {best}", lines, width=700))
        .configure_view(stroke=None)
    )
    return chart


def pairs_with(best: str, comparisons: pl.DataFrame, scores: pl.DataFrame) -> pl.DataFrame:
    """Each experiment against `best` at the largest size of both, in points, nearest first."""
    columns = ("difference", "difference_low", "difference_high")
    here = comparisons.filter(pl.col("other") == best)
    there = comparisons.filter(pl.col("experiment") == best).with_columns(
        experiment="other",
        other="experiment",
        difference=-pl.col("difference"),
        difference_low=-pl.col("difference_high"),
        difference_high=-pl.col("difference_low"),
        effect_size=-pl.col("effect_size"),
    )
    largest = (
        pl.concat([here, there])
        .sort("labels", maintain_order=True)
        .group_by("experiment", maintain_order=True)
        .last()
    )
    first = {
        name: place for place, name in enumerate(scores["experiment"].unique(maintain_order=True))
    }
    return (
        largest.with_columns(
            pl.col(columns) * 100,
            kind=pl.when(pl.col("winner") == "none").then(pl.lit(_ALIKE)).otherwise(pl.lit(_APART)),
            place=pl.col("experiment").replace_strict(first, return_dtype=pl.Int32),
        )
        .sort("difference", "place", descending=[True, False])
        .with_columns(words=pl.struct(*columns, "labels").map_elements(_words, pl.String))
        .select("experiment", "size", "labels", *columns, "p_holm", "effect_size", "kind", "words")
    )


def _words(row: dict[str, float | None]) -> str:
    low, high = row["difference_low"], row["difference_high"]
    ends = "one speaker" if low is None or high is None else f"{low:+.1f} to {high:+.1f}"
    told = f"{row['difference']:+.1f} ({ends})".replace("-", "−")
    return f"{told}, {row['labels']:,.0f} labels"


def _limits(data: pl.DataFrame) -> list[float]:
    columns = ("difference", "difference_low", "difference_high")
    ends = [end for column in columns for end in data[column].drop_nulls()]
    return [min(0.0, *ends), max(0.0, *ends)]


def _nothing() -> alt.Chart:
    """Where there is nothing to compare, a figure that says so."""
    words = "There is nothing to compare: no two experiments of this study have a size in common."
    empty = alt.Chart(pl.DataFrame({"words": [words]})).mark_text(fontSize=13)
    sized: alt.Chart = empty.encode(text="words:N").properties(width=600, height=60)
    return sized
