"""How many labels one experiment saves over another."""

from __future__ import annotations

from pathlib import Path

import altair as alt
import numpy as np
import polars as pl

from emoscale.evaluation.efficiency import against
from emoscale.reporting.figures import COLOURS, save, title, weights_lines

_WORDS = "How many times fewer labels"
_ROW_PIXELS = 30
_WIDTH = 560


def draw_efficiency(
    efficiency: pl.DataFrame, scores: pl.DataFrame, reference: str, left_out: str, *paths: Path
) -> None:
    """Write the figure of `efficiency_chart`."""
    save(efficiency_chart(efficiency, scores, reference, left_out), *paths)


def efficiency_chart(
    efficiency: pl.DataFrame, scores: pl.DataFrame, reference: str, left_out: str
) -> alt.TopLevelMixin:
    """A row an experiment: what it saves in labels against `reference`, on a logarithmic axis.

    `left_out` says which experiments have no curve (`without_curve`). Bounds are arrows, and so are
    ends of intervals that are open.
    """
    rows = against(efficiency, reference) if reference else efficiency.clear()
    if rows.is_empty():
        return _nothing(scores["corpus"][0], left_out)
    data = _drawn(rows)
    order = data["experiment"].to_list()
    low, high = float(data["from"].min()), float(data["to"].max())  # type: ignore[arg-type]
    x_scale = alt.Scale(type="log", domain=[low, high], nice=False)
    values = _powers_of_two(low, high)
    x = alt.X("point:Q", scale=x_scale, title=f"labels needed, against {reference}").axis(
        values=values,
        labelExpr="datum.value == 1 ? 'as many' : datum.value > 1 ? datum.value + '× fewer'"
        " : format(1 / datum.value, '.0f') + '× more'",
    )
    y = alt.Y("experiment:N", title=None, sort=order).axis(labelLimit=800)
    tooltip = [
        alt.Tooltip("experiment:N"),
        alt.Tooltip("counted:N", title="whose labels are counted"),
        alt.Tooltip("ua:Q", title="for a UA of", format=".1%"),
        alt.Tooltip("says:N", title="they are"),
    ]
    base = alt.Chart(data).encode(y=y, tooltip=tooltip)
    even = alt.Chart(pl.DataFrame({"even": [1.0]})).mark_rule(strokeDash=[5, 4])
    bars = base.mark_rule(strokeWidth=3, opacity=0.45, color=COLOURS[0]).encode(
        x=alt.X("from:Q", scale=x_scale), x2="to:Q"
    )
    ends = [
        base.transform_filter(f"datum.{end}_open")
        .mark_point(shape=f"triangle-{side}", filled=True, size=70, opacity=0.7, color=COLOURS[0])
        .encode(x=alt.X(f"{end}:Q", scale=x_scale))
        for end, side in (("from", "left"), ("to", "right"))
    ]
    points = [
        base.transform_filter(f"datum.range == '{kind}'")
        .mark_point(shape=shape, filled=True, size=130, opacity=1, color=COLOURS[1])
        .encode(x=x)
        for kind, shape in (
            ("measured", "circle"),
            ("at least", "triangle-right"),
            ("at most", "triangle-left"),
        )
    ]
    numbers = base.mark_text(align="left", dx=8, fontSize=12).encode(
        x=alt.value(_WIDTH), text="label:N"
    )
    ua = scores.filter(experiment=reference).sort("training_utterances_mean").row(-1, named=True)
    lines = [
        f"{scores['corpus'][0]}; against {reference}, which has a UA of {100 * ua['ua']:.1f} % "
        f"with {ua['training_utterances_mean']:,.0f} labels",
        f"right: the experiment has that UA with so many times fewer labels; left: {reference} has "
        "the UA of the experiment at its most labels, and the experiment needs so many times more",
        "dot: measured; arrow in its place: a bound, beyond which nothing was measured; bar: 95 % "
        "interval, with an arrow where it is open",
        *([left_out] if left_out else []),
        *weights_lines(scores),
    ]
    return alt.layer(
        even.encode(x=alt.X("even:Q", scale=x_scale)), bars, *ends, *points, numbers
    ).properties(
        width=_WIDTH, height=_ROW_PIXELS * len(data), title=title(_WORDS, lines, width=_WIDTH + 200)
    )


def _drawn(rows: pl.DataFrame) -> pl.DataFrame:
    """What is drawn of each row of `against`: the point, and ends that fit on an axis."""
    finite = [
        value
        for column in ("factor", "factor_low", "factor_high")
        for value in rows[column].drop_nulls().to_list()
        if 0 < value < np.inf
    ]
    # Open ends reach past everything that is known.
    left, right = min([0.5, *finite]) / 1.6, max([2.0, *finite]) * 1.6
    known = pl.col("factor").fill_null(1.0)
    low, high = pl.col("factor_low").fill_null(known), pl.col("factor_high").fill_null(known)
    return rows.with_columns(
        pl.col("factor").alias("point"),
        low.clip(left, right).alias("from"),
        high.clip(left, right).alias("to"),
        (low <= left).alias("from_open"),
        (high >= right).alias("to_open"),
        pl.struct("factor", "bound")
        .map_elements(_label, return_dtype=pl.String, skip_nulls=False)
        .alias("label"),
    ).sort("point", "from", descending=True, nulls_last=True, maintain_order=True)


def _label(row: dict) -> str:
    """The factor in a few letters."""
    factor, kind = row["factor"], row["bound"]
    if factor is None:
        return "not reached"
    if 0.95 < factor < 1.05:
        return {"at least": "as many or fewer", "at most": "more"}.get(kind, "as many")
    fewer = factor > 1
    bound = {"at least": "≥ " if fewer else "≤ ", "at most": "≤ " if fewer else "≥ "}.get(kind, "")
    return f"{bound}{factor if fewer else 1 / factor:.2g}× {'fewer' if fewer else 'more'}"


def _powers_of_two(low: float, high: float) -> list[float]:
    """Marks of a logarithmic axis.

    >>> _powers_of_two(0.4, 5.0)
    [0.5, 1.0, 2.0, 4.0]
    """
    every = 1 if high / low < 300 else 2
    return [2.0**power for power in range(-20, 21, every) if low <= 2.0**power <= high]


def _nothing(corpus: str, left_out: str) -> alt.Chart:
    reason = f"{corpus}; there are no two experiments to compare: {left_out or 'there is only one'}"
    empty = alt.Chart(pl.DataFrame({"text": [""]})).mark_text().encode(text="text:N")
    sized = empty.properties(width=480, height=10, title=title(_WORDS, [reason], 480))
    frameless: alt.Chart = sized.configure_view(stroke=None)
    return frameless
