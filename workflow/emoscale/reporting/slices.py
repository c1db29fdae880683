"""How scores differ between groups of the tested utterances."""

from __future__ import annotations

from pathlib import Path

import altair as alt
import polars as pl

from emoscale.reporting.figures import COLOURS, save, title, weights_lines, wrapped

_WORDS = "For whom, and for what, recognition works, at the largest training size"
_PANEL_PIXELS = 190
_NAME_PIXELS = 230
_ROW_PIXELS = 16
_SPACING_PIXELS = 14
_COLUMNS = 4
_MOST_GROUPS = 24
"""Of a slice that is drawn; those with more are in the table only."""


def draw_slices(slices: pl.DataFrame, scores: pl.DataFrame, html: Path, svg: Path) -> None:
    """Write the figure of `slices_chart`."""
    save(slices_chart(slices, scores), html, svg)


def slices_chart(slices: pl.DataFrame, scores: pl.DataFrame) -> alt.TopLevelMixin:
    """A panel an experiment, a row a group: its UA with its interval, beside the UA of all.

    Groups stand in the same rows in all panels; their names are on the left. A slice with many
    groups (the speakers of a large corpus) is left to the table, and the figure says so.
    """
    counts = slices.group_by("slice", maintain_order=True).agg(pl.col("group").n_unique())
    large = counts.filter(pl.col("group") > _MOST_GROUPS)["slice"].to_list()
    slices = slices.filter(~pl.col("slice").is_in(large))
    order = scores.unique("experiment", keep="first", maintain_order=True)["experiment"].to_list()
    rows = slices.unique(["slice", "group"], keep="first", maintain_order=True).with_columns(
        row=pl.concat_str("slice", pl.lit(": "), "group")
    )
    data = slices.join(rows.select("slice", "group", "row"), on=["slice", "group"])
    names = rows["row"].to_list()
    whole = scores.select("experiment", "size", whole="ua")
    data = data.join(whole, on=["experiment", "size"])
    present = [name for name in order if name in set(data["experiment"])]
    limits = [_floor(data), 1.0]
    panels = [
        _panel(data.filter(pl.col("experiment") == name), names, limits, place % _COLUMNS == 0)
        for place, name in enumerate(present)
    ]
    lines = [
        f"{scores['corpus'][0]}; point: unweighted accuracy (UA) of the group, all folds pooled; "
        "line: 95 % interval over speakers and repeats, where a group has five speakers or more; "
        "dashed: UA of all test utterances",
        "text: whether the words are also in the fold's training; agreement: share of the raters' "
        "votes for the label",
        *([f"in the table only, having many groups: {', '.join(large)}"] if large else []),
        *weights_lines(scores.join(data, on="experiment", how="semi")),
    ]
    width = _NAME_PIXELS + (_PANEL_PIXELS + _SPACING_PIXELS) * min(_COLUMNS, max(2, len(panels)))
    chart = alt.concat(*panels, columns=_COLUMNS, title=title(_WORDS, lines, width))
    spaced: alt.TopLevelMixin = chart.configure_concat(spacing=_SPACING_PIXELS)
    return spaced


def _panel(
    data: pl.DataFrame, names: list[str], limits: list[float], named: bool
) -> alt.LayerChart | alt.FacetChart:
    """The groups of one experiment; their names only where `named`."""
    slice_names = list(dict.fromkeys(name.partition(": ")[0] for name in names))
    colour = alt.Color(
        "slice:N",
        scale=alt.Scale(
            domain=slice_names,
            range=[COLOURS[place % 2] for place in range(len(slice_names))],
        ),
        legend=None,
    )
    axis = alt.Axis(
        labels=named,
        labelLimit=_NAME_PIXELS,
        labelFontSize=11,
        ticks=False,
        domain=False,
        grid=True,
    )
    y = alt.Y("row:N", sort=names, title=None, axis=axis, scale=alt.Scale(domain=names))
    x_scale = alt.Scale(domain=limits, nice=False, clamp=True)
    x = alt.X("ua:Q", title="UA", scale=x_scale).axis(format=".0%", tickCount=4)
    base = alt.Chart(data).encode(y=y, color=colour)
    spread = (
        base.transform_filter("isValid(datum.ua_low)")
        .mark_rule(strokeWidth=1.5)
        .encode(x=alt.X("ua_low:Q", scale=x_scale), x2="ua_high:Q")
    )
    points = base.mark_point(filled=True, size=38, opacity=1).encode(
        x=x,
        shape=alt.Shape(
            "slice:N",
            scale=alt.Scale(
                domain=slice_names,
                range=[("circle", "square")[place % 2] for place in range(len(slice_names))],
            ),
            legend=None,
        ),
        tooltip=[
            alt.Tooltip("experiment:N"),
            alt.Tooltip("slice:N"),
            alt.Tooltip("group:N"),
            alt.Tooltip("utterances:Q"),
            alt.Tooltip("speakers:Q"),
            alt.Tooltip("classes:Q"),
            alt.Tooltip("ua:Q", title="UA", format=".1%"),
            alt.Tooltip("ua_low:Q", title="UA, lower end", format=".1%"),
            alt.Tooltip("ua_high:Q", title="UA, upper end", format=".1%"),
            alt.Tooltip("wa:Q", title="WA", format=".1%"),
        ],
    )
    whole = alt.Chart(data.select("whole").unique()).mark_rule(strokeDash=[4, 3], color="#777777")
    return alt.layer(whole.encode(x=alt.X("whole:Q", scale=x_scale)), spread, points).properties(
        width=_PANEL_PIXELS,
        height=_ROW_PIXELS * len(names),
        title=alt.TitleParams(wrapped(data["experiment"][0], _PANEL_PIXELS, size=13)),
    )


def _floor(data: pl.DataFrame) -> float:
    """The lowest that is drawn, rounded down to a tenth."""
    lowest = min(data["ua"].min(), data["ua_low"].fill_null(1.0).min())  # type: ignore[type-var]
    return max(0.0, float(lowest) * 10 // 1 / 10)  # type: ignore[arg-type]
