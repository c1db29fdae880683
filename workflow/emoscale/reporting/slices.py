"""Slices: UA (unweighted accuracy) of groups of the test utterances."""

from __future__ import annotations

from pathlib import Path

import altair as alt
import polars as pl

from emoscale.reporting.figures import COLOURS, figure_title, save, weights_lines, wrap_text

_TITLE = "UA by group of test utterances, at the largest training size"
_PANEL_PIXELS = 190
_NAME_PIXELS = 230
_ROW_PIXELS = 16
_SPACING_PIXELS = 14
_COLUMNS = 4
_MAXIMUM_GROUPS = 24
"""Slices with more groups are not drawn; their rows are in the table."""


def draw_slices(slices: pl.DataFrame, scores: pl.DataFrame, html: Path, svg: Path) -> None:
    """Write the figure of `slices_chart`.

    Parameters
    ----------
    slices : DataFrame
        The table of slices.
    scores : DataFrame
        The table of scores.
    html, svg : Path
        Files to write.
    """
    save(slices_chart(slices, scores), html, svg)


def slices_chart(slices: pl.DataFrame, scores: pl.DataFrame) -> alt.TopLevelMixin:
    """Return one panel per experiment, with the UA and its interval in one row per group.

    All panels have the same rows; the names of the groups are at the left. A slice with many
    groups, such as the speakers of a large corpus, is in the table only; the subtitle names it.

    Parameters
    ----------
    slices : DataFrame
        The table of slices.
    scores : DataFrame
        The table of scores.

    Returns
    -------
    altair.TopLevelMixin
        The figure.
    """
    counts = slices.group_by("slice", maintain_order=True).agg(pl.col("group").n_unique())
    large = counts.filter(pl.col("group") > _MAXIMUM_GROUPS)["slice"].to_list()
    slices = slices.filter(~pl.col("slice").is_in(large))
    order = scores.unique("experiment", keep="first", maintain_order=True)["experiment"].to_list()
    rows = slices.unique(["slice", "group"], keep="first", maintain_order=True).with_columns(
        row=pl.concat_str("slice", pl.lit(": "), "group")
    )
    data = slices.join(rows.select("slice", "group", "row"), on=["slice", "group"])
    row_names = rows["row"].to_list()
    overall = scores.select("experiment", "size", overall_ua="ua")
    data = data.join(overall, on=["experiment", "size"])
    experiments = [name for name in order if name in set(data["experiment"])]
    limits = [_lower_limit(data), 1.0]
    panels = [
        _panel(
            data.filter(pl.col("experiment") == name),
            row_names,
            limits,
            row_labels=index % _COLUMNS == 0,
        )
        for index, name in enumerate(experiments)
    ]
    explanations = [
        f"{scores['corpus'][0]}; point: UA (unweighted accuracy) of the group, all folds pooled; "
        "line: 95 % confidence interval (bootstrap over speakers and trainings), for groups of at "
        "least five speakers; dashed: UA of all test utterances",
        "Slice `text`: whether the transcript also occurs in the training set of the fold; slice "
        "`agreement`: proportion of the raters' votes that are for the label",
        *([f"In the table only, because of many groups: {', '.join(large)}"] if large else []),
        *weights_lines(scores.join(data, on="experiment", how="semi")),
    ]
    width = _NAME_PIXELS + (_PANEL_PIXELS + _SPACING_PIXELS) * min(_COLUMNS, max(2, len(panels)))
    chart = alt.concat(*panels, columns=_COLUMNS, title=figure_title(_TITLE, explanations, width))
    spaced: alt.TopLevelMixin = chart.configure_concat(spacing=_SPACING_PIXELS)
    return spaced


def _panel(
    data: pl.DataFrame, row_names: list[str], limits: list[float], row_labels: bool
) -> alt.LayerChart | alt.FacetChart:
    """Return the groups of one experiment, with the names of the groups if `row_labels`."""
    slice_names = list(dict.fromkeys(name.partition(": ")[0] for name in row_names))
    # Neighbouring slices alternate between two colours and shapes.
    colour = alt.Color(
        "slice:N",
        scale=alt.Scale(
            domain=slice_names,
            range=[COLOURS[index % 2] for index in range(len(slice_names))],
        ),
        legend=None,
    )
    axis = alt.Axis(
        labels=row_labels,
        labelLimit=_NAME_PIXELS,
        labelFontSize=11,
        ticks=False,
        domain=False,
        grid=True,
    )
    y = alt.Y("row:N", sort=row_names, title=None, axis=axis, scale=alt.Scale(domain=row_names))
    x_scale = alt.Scale(domain=limits, nice=False, clamp=True)
    x = alt.X("ua:Q", title="UA", scale=x_scale).axis(format=".0%", tickCount=4)
    base = alt.Chart(data).encode(y=y, color=colour)
    intervals = (
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
                range=[("circle", "square")[index % 2] for index in range(len(slice_names))],
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
    overall = alt.Chart(data.select("overall_ua").unique())
    overall_line = overall.mark_rule(strokeDash=[4, 3], color="#777777").encode(
        x=alt.X("overall_ua:Q", scale=x_scale)
    )
    return alt.layer(overall_line, intervals, points).properties(
        width=_PANEL_PIXELS,
        height=_ROW_PIXELS * len(row_names),
        title=alt.TitleParams(wrap_text(data["experiment"][0], _PANEL_PIXELS, font_size=13)),
    )


def _lower_limit(data: pl.DataFrame) -> float:
    """Return the lowest value of the data, rounded down to a tenth."""
    lowest = min(data["ua"].min(), data["ua_low"].fill_null(1.0).min())  # type: ignore[type-var]
    return max(0.0, float(lowest) * 10 // 1 / 10)  # type: ignore[arg-type]
