"""Label efficiency of each experiment against a reference experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import polars as pl

from emoscale.evaluation.efficiency import efficiency_against
from emoscale.reporting.figures import COLOURS, empty_figure, figure_title, save, weights_lines

_TITLE = "Label efficiency: how many times fewer labels"
_ROW_PIXELS = 30
_WIDTH = 560


def draw_efficiency(
    efficiency: pl.DataFrame, scores: pl.DataFrame, reference: str, left_out: str, *paths: Path
) -> None:
    """Write the figure of `efficiency_chart`.

    Parameters
    ----------
    efficiency : DataFrame
        The table of efficiency.
    scores : DataFrame
        The table of scores.
    reference : str
        Experiment that all others are compared with; empty: none.
    left_out : str
        Which experiments have no learning curve (`single_size_note`).
    *paths : Path
        Files to write.
    """
    save(efficiency_chart(efficiency, scores, reference, left_out), *paths)


def efficiency_chart(
    efficiency: pl.DataFrame, scores: pl.DataFrame, reference: str, left_out: str
) -> alt.TopLevelMixin:
    """Return the figure of labels saved against the reference, one row per experiment.

    The axis is logarithmic. Bounds and unbounded ends of intervals are drawn as arrows.

    Parameters
    ----------
    efficiency : DataFrame
        The table of efficiency.
    scores : DataFrame
        The table of scores.
    reference : str
        Experiment that all others are compared with; empty: none.
    left_out : str
        Which experiments have no learning curve (`single_size_note`).

    Returns
    -------
    altair.TopLevelMixin
        The figure; without data, it states the reason.
    """
    rows = efficiency_against(efficiency, reference) if reference else efficiency.clear()
    if rows.is_empty():
        reason = left_out or "the study has only one"
        return empty_figure(
            _TITLE,
            f"{scores['corpus'][0]}; there are no two experiments to compare: {reason}",
        )
    data = _plotted(rows)
    order = data["experiment"].to_list()
    # The axis includes 1, where the dashed line is.
    low, high = min(1.0, *data["from"]), max(1.0, *data["to"])
    x_scale = alt.Scale(type="log", domain=[low, high], nice=False)
    ticks = _powers_of_two(low, high)
    x = alt.X("point:Q", scale=x_scale, title=f"labels needed, compared with {reference}").axis(
        values=ticks,
        labelExpr="datum.value == 1 ? 'as many' : datum.value > 1 ? datum.value + '× fewer'"
        " : format(1 / datum.value, '.0f') + '× more'",
    )
    y = alt.Y("experiment:N", title=None, sort=order).axis(labelLimit=800)
    tooltip = [
        alt.Tooltip("experiment:N"),
        alt.Tooltip("counted:N", title="labels counted for"),
        alt.Tooltip("ua:Q", title="target UA", format=".1%"),
        alt.Tooltip("summary:N"),
    ]
    base = alt.Chart(data).encode(y=y, tooltip=tooltip)
    even = alt.Chart(pl.DataFrame({"even": [1.0]})).mark_rule(strokeDash=[5, 4])
    intervals = base.mark_rule(strokeWidth=3, opacity=0.45, color=COLOURS[0]).encode(
        x=alt.X("from:Q", scale=x_scale), x2="to:Q"
    )
    unbounded_ends = [
        base.transform_filter(f"datum.{end}_unbounded")
        .mark_point(shape=f"triangle-{side}", filled=True, size=70, opacity=0.7, color=COLOURS[0])
        .encode(x=alt.X(f"{end}:Q", scale=x_scale))
        for end, side in (("from", "left"), ("to", "right"))
    ]
    points = [
        base.transform_filter(f"datum.bound == '{bound}'")
        .mark_point(shape=shape, filled=True, size=130, opacity=1, color=COLOURS[1])
        .encode(x=x)
        for bound, shape in (
            ("measured", "circle"),
            ("at least", "triangle-right"),
            ("at most", "triangle-left"),
        )
    ]
    labels = base.mark_text(align="left", dx=8, fontSize=12).encode(
        x=alt.value(_WIDTH), text="label:N"
    )
    ua = scores.filter(experiment=reference).sort("training_utterances_mean").row(-1, named=True)
    explanations = [
        f"{scores['corpus'][0]}; compared with {reference}, which has a UA of "
        f"{100 * ua['ua']:.1f} % with {ua['training_utterances_mean']:,.0f} labels",
        "Right: the experiment reaches that UA with so many times fewer labels. Left: "
        f"{reference} reaches the UA that the experiment has at its largest size, and the "
        "experiment needs so many times more labels",
        "Dot: measured; arrow instead of a dot: a bound, because no larger or smaller size was "
        "measured; bar: 95 % confidence interval, with an arrow at an unbounded end",
        *([left_out] if left_out else []),
        *weights_lines(scores),
    ]
    return alt.layer(
        even.encode(x=alt.X("even:Q", scale=x_scale)), intervals, *unbounded_ends, *points, labels
    ).properties(
        width=_WIDTH,
        height=_ROW_PIXELS * len(data),
        title=figure_title(_TITLE, explanations, width=_WIDTH + 200),
    )


def _plotted(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the points and interval ends to plot, clipped to a finite axis."""
    finite = [
        value
        for column in ("factor", "factor_low", "factor_high")
        for value in rows[column].drop_nulls().to_list()
        if 0 < value < np.inf
    ]
    # Unbounded ends reach beyond all finite values.
    left, right = min([0.5, *finite]) / 1.6, max([2.0, *finite]) * 1.6
    factor = pl.col("factor").fill_null(1.0)
    low, high = pl.col("factor_low").fill_null(factor), pl.col("factor_high").fill_null(factor)
    return rows.with_columns(
        pl.col("factor").alias("point"),
        low.clip(left, right).alias("from"),
        high.clip(left, right).alias("to"),
        (low <= left).alias("from_unbounded"),
        (high >= right).alias("to_unbounded"),
        pl.struct("factor", "bound")
        .map_elements(_label, return_dtype=pl.String, skip_nulls=False)
        .alias("label"),
    ).sort("point", "from", descending=True, nulls_last=True, maintain_order=True)


def _label(row: dict[str, Any]) -> str:
    """Return the factor as a short label, such as `≥ 4× fewer`."""
    factor, bound = row["factor"], row["bound"]
    if factor is None:
        return "not reached"
    if 0.95 < factor < 1.05:
        return {"at least": "as many or fewer", "at most": "more"}.get(bound, "as many")
    fewer = factor > 1
    sign = {"at least": "≥ " if fewer else "≤ ", "at most": "≤ " if fewer else "≥ "}.get(bound, "")
    return f"{sign}{factor if fewer else 1 / factor:.2g}× {'fewer' if fewer else 'more'}"


def _powers_of_two(low: float, high: float) -> list[float]:
    """Return the ticks of a logarithmic axis.

    >>> _powers_of_two(0.4, 5.0)
    [0.5, 1.0, 2.0, 4.0]
    """
    step = 1 if high / low < 300 else 2
    return [2.0**power for power in range(-20, 21, step) if low <= 2.0**power <= high]
