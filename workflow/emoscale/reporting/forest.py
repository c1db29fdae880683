"""Forest plot: the difference of each experiment to the best one, with confidence intervals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt
import polars as pl

from emoscale.evaluation.comparisons import POWER_DIFFERENCES, family_power, rank_experiments
from emoscale.reporting.figures import COLOURS, figure_title, save

_SIGNIFICANT = "significant after Holm's correction"
_NOT_SIGNIFICANT = "not significant"
_ROW_PIXELS = 24
_NAME_PIXELS = 440  # names of experiments have at most 64 characters


def draw_forest(
    comparisons: pl.DataFrame, scores: pl.DataFrame, reference: str, *paths: Path
) -> None:
    """Write the figure of `forest_chart`.

    Parameters
    ----------
    comparisons : DataFrame
        The table of comparisons.
    scores : DataFrame
        The table of scores.
    reference : str
        The declared reference; empty: none.
    *paths : Path
        Files to write.
    """
    save(forest_chart(comparisons, scores, reference), *paths)


def forest_chart(
    comparisons: pl.DataFrame, scores: pl.DataFrame, reference: str
) -> alt.TopLevelMixin:
    """Return a forest plot with one row per experiment: its UA minus that of the reference.

    Without a declared reference it is compared with the best experiment. Differences are of the
    mean UA over the training sizes that both have. One row per experiment keeps the figure on a
    page, however many pairs there are.

    Parameters
    ----------
    comparisons : DataFrame
        The table of comparisons (`evaluation.comparisons`).
    scores : DataFrame
        The table of scores.
    reference : str
        The declared reference; empty: none.

    Returns
    -------
    altair.TopLevelMixin
        The figure; without comparisons, it states the reason.
    """
    compared = reference or rank_experiments(comparisons, scores)[0]
    data = comparisons_with(compared, comparisons, scores)
    if data.is_empty():
        return _empty_forest()
    family = comparisons["family"].drop_nulls()[0]
    power = ", ".join(
        f"{100 * value:.0f} % for {100 * difference:.0f} points"
        for difference, value in zip(POWER_DIFFERENCES, family_power(comparisons), strict=False)
    )
    explanations = [
        f"{scores['corpus'][0]}; UA averaged over the training sizes that both experiments have; "
        "line: 95 % confidence interval of this difference (not corrected), clustered by speaker",
        f"Holm's correction is for the {family} pairs with the declared reference"
        if reference
        else f"The best experiment is ahead of most others. Holm's correction is for all {family} "
        "pairs",
        *([f"Power of a typical comparison with this correction: {power}"] if power else []),
    ]
    order = data["experiment"].to_list()
    y = alt.Y("experiment:N", title=None, sort=order).axis(
        labelLimit=_NAME_PIXELS, ticks=False, domain=False, labelPadding=8
    )
    scale = alt.Scale(domain=_limits(data), nice=True)
    x = alt.X("difference:Q", title=f"UA minus UA of {compared}, percentage points", scale=scale)
    x = x.axis(tickCount=8)
    kinds = [_SIGNIFICANT, _NOT_SIGNIFICANT]
    colour = alt.Color("kind:N", title=None, scale=alt.Scale(domain=kinds, range=COLOURS[1::-1]))
    shape = alt.Shape(
        "kind:N", title=None, scale=alt.Scale(domain=kinds, range=["circle", "diamond"])
    )
    legend = alt.Legend(orient="top", direction="horizontal", labelLimit=400)
    tooltip = [
        alt.Tooltip("experiment:N"),
        alt.Tooltip("sizes:N", title="training sizes"),
        alt.Tooltip("difference:Q", title="difference, points", format="+.1f"),
        alt.Tooltip("difference_low:Q", title="difference, lower end", format="+.1f"),
        alt.Tooltip("difference_high:Q", title="difference, upper end", format="+.1f"),
        alt.Tooltip("p_holm:Q", title="p, Holm", format=".3g"),
        alt.Tooltip("effect_size:Q", title="effect size", format="+.2f"),
    ]
    base = alt.Chart(data).encode(y=y, tooltip=tooltip)
    intervals = base.mark_rule(strokeWidth=2).encode(
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
    forest = alt.layer(zero, intervals, points).properties(width=420, height=height)
    labels = (
        alt.Chart(data)
        .mark_text(align="left", fontSize=11)
        .encode(
            y=alt.Y("experiment:N", sort=order).axis(None), x=alt.value(4), text=alt.Text("label:N")
        )
        .properties(width=210, height=height)
    )
    title = figure_title(
        f"Differences to the {'reference' if reference else 'best experiment'}, {compared}",
        explanations,
        width=700,
    )
    chart: alt.TopLevelMixin = (
        alt.hconcat(forest, labels, spacing=4)
        .resolve_scale(y="shared")
        .properties(title=title)
        .configure_view(stroke=None)
    )
    return chart


def comparisons_with(
    compared: str, comparisons: pl.DataFrame, scores: pl.DataFrame
) -> pl.DataFrame:
    """Return the comparison of each experiment with one of them.

    Parameters
    ----------
    compared : str
        The experiment that the others are compared with.
    comparisons : DataFrame
        The table of comparisons.
    scores : DataFrame
        The table of scores, for the order of experiments with equal differences.

    Returns
    -------
    DataFrame
        One row per experiment, the smallest difference first; differences in percentage points.
    """
    columns = ("difference", "difference_low", "difference_high")
    forward = comparisons.filter(pl.col("other") == compared)
    reversed_sign = comparisons.filter(pl.col("experiment") == compared).with_columns(
        experiment="other",
        other="experiment",
        difference=-pl.col("difference"),
        difference_low=-pl.col("difference_high"),
        difference_high=-pl.col("difference_low"),
        effect_size=-pl.col("effect_size"),
    )
    order = {
        name: index for index, name in enumerate(scores["experiment"].unique(maintain_order=True))
    }
    kind = (
        pl.when(pl.col("winner") == "none")
        .then(pl.lit(_NOT_SIGNIFICANT))
        .otherwise(pl.lit(_SIGNIFICANT))
    )
    return (
        pl.concat([forward, reversed_sign])
        .with_columns(
            pl.col(columns) * 100,
            kind=kind,
            order=pl.col("experiment").replace_strict(order, return_dtype=pl.Int32),
        )
        .sort("difference", "order", descending=[True, False])
        .with_columns(label=pl.struct(*columns, "sizes").map_elements(_label, pl.String))
        .select("experiment", "sizes", *columns, "p_holm", "effect_size", "kind", "label")
    )


def _label(row: dict[str, Any]) -> str:
    low, high = row["difference_low"], row["difference_high"]
    interval = "one speaker" if low is None or high is None else f"{low:+.1f} to {high:+.1f}"
    difference = f"{row['difference']:+.1f} ({interval})".replace("-", "−")
    sizes = len(row["sizes"].split())
    return f"{difference}, {sizes} size{'s' if sizes > 1 else ''}"


def _limits(data: pl.DataFrame) -> list[float]:
    columns = ("difference", "difference_low", "difference_high")
    values = [value for column in columns for value in data[column].drop_nulls()]
    return [min(0.0, *values), max(0.0, *values)]


def _empty_forest() -> alt.Chart:
    text = "There is nothing to compare: no two experiments of this study have a size in common."
    empty = alt.Chart(pl.DataFrame({"text": [text]})).mark_text(fontSize=13)
    sized: alt.Chart = empty.encode(text="text:N").properties(width=600, height=60)
    return sized
