"""Learning curves: UA (unweighted accuracy) against the number of labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt
import polars as pl

from emoscale.evaluation.ceiling import LABEL, ONE_MORE_RATER, OTHER_RATERS, human_ceiling
from emoscale.evaluation.published import published_curves
from emoscale.evaluation.published_results import STUDY
from emoscale.reporting.figures import (
    COLOURS,
    colour_and_shape_scales,
    figure_title,
    note_lines,
    save,
    weights_lines,
)

_OTHER_CURVES = "#dcdcdc"
_PUBLISHED = "#555555"
_RATER = "#8c564b"
_AGAINST = {
    OTHER_RATERS: "against the plurality of the other raters, 95 % confidence interval",
    LABEL: "against the labels, 95 % confidence interval",
}
_STEP = 0.008  # offset between neighbours at one size, as a fraction of the axis
_LEGEND_PIXELS = 800  # names of experiments have at most 64 characters


def draw_learning_curves(
    scores: pl.DataFrame, html: Path, svg: Path, ceiling: pl.DataFrame | None = None
) -> None:
    """Write the figure of `learning_curves_chart`.

    Parameters
    ----------
    scores : DataFrame
        The table of scores.
    html, svg : Path
        Files to write.
    ceiling : DataFrame or None
        The table of the human ceiling; None or empty: no votes.
    """
    save(learning_curves_chart(scores, ceiling), html, svg)


def learning_curves_chart(
    scores: pl.DataFrame, ceiling: pl.DataFrame | None = None
) -> alt.TopLevelMixin:
    """Return the learning curve of each experiment, with an error bar at each point.

    The error bars are 95 % confidence intervals when the scores have them (`ua_low`, `ua_high`),
    otherwise one standard deviation over repeats. More curves than colours are drawn in several
    panels (see `panel_experiments`). Points of one size are offset horizontally, so that their
    error bars do not overlap. On IEMOCAP with four classes, published curves are drawn as well.
    Where the corpus has votes, a line is the UA of one more rater, and a band its interval.

    Parameters
    ----------
    scores : DataFrame
        The table of scores.
    ceiling : DataFrame or None
        The table of the human ceiling; None or empty: no votes.

    Returns
    -------
    altair.TopLevelMixin
        The figure.
    """
    has_intervals = {"ua_low", "ua_high"} <= set(scores.columns)
    std = pl.col("ua_repeat_std")
    panels = panel_experiments(scores)
    published = _published_points(scores)
    rater = None if ceiling is None else human_ceiling(ceiling)
    data = scores.select(
        "experiment",
        "size",
        pl.col("training_utterances_mean").alias("labels"),
        pl.col("ua").alias("ua"),
        (pl.col("ua_low") if has_intervals else pl.col("ua") - std).alias("low"),
        (pl.col("ua_high") if has_intervals else pl.col("ua") + std).alias("high"),
        std.alias("std"),
        "ua_fold_mean",
        "ua_fold_std",
        "chance_ua",
    ).sort("experiment", "labels")
    data = _offset_points(data, list(panels.values()))
    error_bars = (
        "95 % confidence interval (bootstrap over speakers and trainings)"
        if has_intervals
        else "one standard deviation over repeats"
    )
    explanations = [
        f"{scores['corpus'][0]}; {scores['folds'][0]} folds, {scores['repeats'][0]} repeats; "
        f"error bars: {error_bars}; dashed: chance",
        *(["Dotted, hollow: as published (arXiv 2011.05585)"] if len(published) else []),
        *([f"Brown line and band: {ONE_MORE_RATER} {_AGAINST[rater['target']]}"] if rater else []),
        *(["Grey: the curves of the other panels"] if len(panels) > 1 else []),
        *(f"Note: {note}" for note in note_lines(scores["notes"])),
        *weights_lines(scores),
    ]
    text = "Learning curves: UA (unweighted accuracy) against labels"
    chart: alt.TopLevelMixin
    if len(panels) == 1:
        (names,) = panels.values()
        chart = _panel(data, names, published, rater).properties(
            width=560, height=360, title=figure_title(text, explanations, width=700)
        )
    else:
        charts = [
            _panel(data, names, published, rater).properties(width=400, height=280, title=title)
            for title, names in panels.items()
        ]
        chart = (
            alt.concat(*charts, columns=2, title=figure_title(text, explanations, width=1100))
            .resolve_scale(color="independent", shape="independent")
            .configure_concat(spacing=30)
        )
    return chart


def panel_experiments(scores: pl.DataFrame) -> dict[str, list[str]]:
    """Return the experiments of each panel by the panel's title, in the order of the study.

    All experiments are in one panel as long as there is a colour for each. Otherwise there is one
    panel per modality, and a modality with more experiments than colours has several panels of
    about equal size.

    Parameters
    ----------
    scores : DataFrame
        The table of scores.

    Returns
    -------
    dict of str to list of str
        Names of experiments by the title of their panel.
    """
    experiments = scores.unique("experiment", keep="first", maintain_order=True)
    if len(experiments) <= len(COLOURS):
        return {"": experiments["experiment"].to_list()}
    panels = {}
    for (modality,), group in experiments.group_by("modality", maintain_order=True):
        names = group["experiment"].to_list()
        count = -(-len(names) // len(COLOURS))
        for number in range(count):
            start, stop = (boundary * len(names) // count for boundary in (number, number + 1))
            suffix = f", {number + 1} of {count}" if count > 1 else ""
            panels[f"{str(modality).replace('+', ' + ')}{suffix}"] = names[start:stop]
    return panels


def _published_points(scores: pl.DataFrame) -> pl.DataFrame:
    """Return `system, labels, ua` of the published study if corpus and classes are the same."""
    comparable = scores["corpus"][0] == STUDY.corpus and scores["chance_ua"][0] == 1 / STUDY.classes
    return pl.DataFrame(
        [
            {"system": curve.experiment, "labels": float(labels), "ua": float(ua)}
            for curve in (published_curves() if comparable else [])
            for labels, ua in zip(curve.labels, curve.ua, strict=True)
        ],
        schema={"system": pl.String, "labels": pl.Float64, "ua": pl.Float64},
    )


def _offset_points(data: pl.DataFrame, panels: list[list[str]]) -> pl.DataFrame:
    """Add the position of each point on the axis (`x`), offset by its position in the panel."""
    offsets = {
        name: index - (len(names) - 1) / 2 for names in panels for index, name in enumerate(names)
    }
    labels = data["labels"]
    ratio = float(labels.max()) / float(labels.min())  # type: ignore[arg-type]
    step = max(ratio, 2.0) ** _STEP
    return data.with_columns(
        (pl.col("labels") * step ** pl.col("experiment").replace_strict(offsets)).alias("x")
    )


def _panel(
    data: pl.DataFrame, names: list[str], published: pl.DataFrame, rater: dict[str, Any] | None
) -> alt.LayerChart | alt.FacetChart:
    """Return the curves of `names`, with all other curves of the data in grey."""
    selected = data.filter(pl.col("experiment").is_in(names))
    others = data.filter(~pl.col("experiment").is_in(names))
    low, high = _limits(data, published, rater)
    labels = [*data["x"], *published["labels"]]
    x = alt.X("x:Q", title="training utterances (mean over folds)")
    x = x.scale(type="log", nice=False, padding=12, domain=[min(labels), max(labels)])
    x = x.axis(values=axis_ticks(labels) or alt.Undefined)
    y_scale = alt.Scale(domain=[low, high], nice=False)
    y = alt.Y("ua:Q", title="UA", scale=y_scale).axis(format=".0%")
    colours, shapes = colour_and_shape_scales(names)
    legend = alt.Legend(symbolOpacity=1, labelLimit=_LEGEND_PIXELS)
    colour = alt.Color("experiment:N", title="experiment", scale=colours, legend=legend)
    other_curves = (
        alt.Chart(others)
        .mark_line(strokeWidth=1.5, color=_OTHER_CURVES)
        .encode(x=x, y=y, detail="experiment:N")
    )
    base = alt.Chart(selected).encode(x=x, color=colour)
    error_bars = base.mark_rule(opacity=0.45, strokeWidth=1.5).encode(
        y=alt.Y("low:Q", scale=y_scale), y2="high:Q"
    )
    curves = base.mark_line(strokeWidth=2).encode(y=y)
    points = base.mark_point(filled=True, size=70, opacity=1).encode(
        y=y,
        shape=alt.Shape("experiment:N", title="experiment", scale=shapes, legend=legend),
        tooltip=[
            alt.Tooltip("experiment:N"),
            alt.Tooltip("size:N", title="training size"),
            alt.Tooltip("labels:Q", title="training utterances", format=",.0f"),
            alt.Tooltip("ua:Q", title="UA, folds pooled", format=".1%"),
            alt.Tooltip("low:Q", title="error bar, lower end", format=".1%"),
            alt.Tooltip("high:Q", title="error bar, upper end", format=".1%"),
            alt.Tooltip("std:Q", title="std over repeats", format=".1%"),
            alt.Tooltip("ua_fold_mean:Q", title="UA, mean over folds", format=".1%"),
            alt.Tooltip("ua_fold_std:Q", title="std over folds", format=".1%"),
        ],
    )
    chance = alt.Chart(pl.DataFrame({"chance": [data["chance_ua"][0]]}))
    chance_line = chance.mark_rule(strokeDash=[5, 4]).encode(
        y=alt.Y("chance:Q", scale=y_scale), tooltip=[alt.Tooltip("chance:Q", format=".1%")]
    )
    layers = [
        *(_rater_layers(rater, y_scale) if rater else []),
        *([other_curves] if len(others) else []),
        *(chance_line, error_bars, curves, points),
    ]
    if len(published):
        layers += _published_layers(published, x, y)
    return alt.layer(*layers)


def _rater_layers(rater: dict[str, Any], y_scale: alt.Scale) -> list[alt.Chart]:
    """Return the band and the line of one more rater, with its name."""
    base = alt.Chart(pl.DataFrame([{name: rater[name] for name in ("ua", "ua_low", "ua_high")}]))
    y = alt.Y("ua:Q", scale=y_scale)
    tooltip = [
        alt.Tooltip("ua:Q", title=f"UA of {ONE_MORE_RATER}", format=".1%"),
        alt.Tooltip("ua_low:Q", title="interval, lower end", format=".1%"),
        alt.Tooltip("ua_high:Q", title="interval, upper end", format=".1%"),
    ]
    band = base.mark_rect(color=_RATER, opacity=0.15)
    text = base.mark_text(color=_RATER, align="left", dx=4, dy=-6, fontSize=11, text=ONE_MORE_RATER)
    return [
        band.encode(y=alt.Y("ua_low:Q", scale=y_scale), y2="ua_high:Q", tooltip=tooltip),
        base.mark_rule(color=_RATER, strokeWidth=1.5).encode(y=y, tooltip=tooltip),
        text.encode(y=y, x=alt.value(0)),
    ]


def _published_layers(published: pl.DataFrame, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    base = alt.Chart(published.rename({"labels": "x"})).encode(x=x, y=y, detail="system:N")
    tooltip = [
        alt.Tooltip("system:N", title="published"),
        alt.Tooltip("x:Q", title="training utterances", format=",.0f"),
        alt.Tooltip("ua:Q", title="UA", format=".1%"),
    ]
    last = published.sort("labels").group_by("system", maintain_order=True).last()
    text = alt.Chart(last.rename({"labels": "x"})).encode(x=x, y=y, text="system:N")
    style: dict[str, Any] = {"align": "right", "dx": -8, "dy": -9, "fontSize": 11}
    halo = text.mark_text(stroke="white", strokeWidth=4, **style)
    names = text.mark_text(color=_PUBLISHED, **style)
    return [
        base.mark_line(strokeDash=[2, 3], strokeWidth=1.5, color=_PUBLISHED),
        base.mark_point(size=60, strokeWidth=1.5, color=_PUBLISHED).encode(tooltip=tooltip),
        halo,
        names,
    ]


def axis_ticks(values: list[float]) -> list[int]:
    """Return the ticks of a logarithmic axis: 1, 2 and 5 times the powers of ten.

    Parameters
    ----------
    values : list of float
        Numbers of labels on the axis.

    Returns
    -------
    list of int
        Ticks within the range of the values.

    Examples
    --------
    >>> axis_ticks([18.0, 80.0, 360.0])
    [20, 50, 100, 200]
    """
    candidates = [factor * 10**power for power in range(7) for factor in (1, 2, 5)]
    return [number for number in candidates if min(values) <= number <= max(values)]


def _limits(
    data: pl.DataFrame, published: pl.DataFrame, rater: dict[str, Any] | None
) -> tuple[float, float]:
    """Return the y range of the data and of chance, rounded to tenths, within 0 and 1."""
    values = [*data["low"], *data["high"], *data["ua"], *published["ua"]]
    values += [rater[name] for name in ("ua", "ua_low", "ua_high")] if rater else []
    numbers = pl.Series(values, dtype=pl.Float64).drop_nulls().drop_nans().to_list()
    low, high = min(*numbers, float(data["chance_ua"][0])), max(numbers)
    return max(0.0, (low * 10 // 1 - 0.5) / 10), min(1.0, -(-high * 10 // 1) / 10)
