"""Unweighted accuracy against the number of labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt
import polars as pl

from emoscale.evaluation.published import CLASSES, CORPUS, study_curves
from emoscale.reporting.figures import COLOURS, save, scales, title, weights_lines

_FAINT = "#dcdcdc"
_PUBLISHED = "#555555"
_STEP = 0.008  # of the axis between neighbours at one size
_LEGEND_PIXELS = 800  # a study's names have 64 characters at most


def draw_learning_curves(scores: pl.DataFrame, html: Path, svg: Path) -> None:
    """Write the figure of `learning_curves_chart`."""
    save(learning_curves_chart(scores), html, svg)


def learning_curves_chart(scores: pl.DataFrame) -> alt.TopLevelMixin:
    """A curve an experiment, with an interval at each point: of 95 % where the scores have it
    (`ua_low`, `ua_high`), otherwise of one standard deviation over repeats.

    More curves than one panel can tell apart are drawn in several: see `panels_of`. Points of one
    size stand side by side, so that their intervals can be told apart. On IEMOCAP with four classes
    the published study's own curves are drawn too.
    """
    has_intervals = {"ua_low", "ua_high"} <= set(scores.columns)
    deviation = pl.col("ua_repeat_std")
    panels = panels_of(scores)
    published = _published_points(scores)
    data = scores.select(
        "experiment",
        "size",
        pl.col("training_utterances_mean").alias("labels"),
        pl.col("ua").alias("ua"),
        (pl.col("ua_low") if has_intervals else pl.col("ua") - deviation).alias("low"),
        (pl.col("ua_high") if has_intervals else pl.col("ua") + deviation).alias("high"),
        deviation.alias("deviation"),
        "ua_fold_mean",
        "ua_fold_std",
        "chance_ua",
    ).sort("experiment", "labels")
    data = _side_by_side(data, list(panels.values()))
    bars = (
        "95 % interval, from drawing speakers and trainings again"
        if has_intervals
        else "one standard deviation over repeats"
    )
    lines = [
        f"{scores['corpus'][0]}; {scores['folds'][0]} folds, {scores['repeats'][0]} "
        f"repeats; bars: {bars}; dashed: chance",
        *(["dotted, hollow: as published (arXiv 2011.05585)"] if len(published) else []),
        *(["grey: the curves of the other panels"] if len(panels) > 1 else []),
        *notes_lines(scores["notes"][0]),
        *weights_lines(scores),
    ]
    words = "How recognition grows with labels"
    chart: alt.TopLevelMixin
    if len(panels) == 1:
        (names,) = panels.values()
        chart = _panel(data, names, published).properties(
            width=560, height=360, title=title(words, lines, width=700)
        )
    else:
        drawn = [
            _panel(data, names, published).properties(width=400, height=280, title=group)
            for group, names in panels.items()
        ]
        chart = (
            alt.concat(*drawn, columns=2, title=title(words, lines, width=1100))
            .resolve_scale(color="independent", shape="independent")
            .configure_concat(spacing=30)
        )
    return chart


def panels_of(scores: pl.DataFrame) -> dict[str, list[str]]:
    """The experiments of each panel by its title, in the study's order.

    All stand in one panel while there is a colour for each. Then there is one for each modality,
    and one of more experiments than colours is cut into parts of about equal size.
    """
    experiments = scores.unique("experiment", keep="first", maintain_order=True)
    if len(experiments) <= len(COLOURS):
        return {"": experiments["experiment"].to_list()}
    panels = {}
    for (modality,), group in experiments.group_by("modality", maintain_order=True):
        names = group["experiment"].to_list()
        parts = -(-len(names) // len(COLOURS))
        for part in range(parts):
            first, last = (place * len(names) // parts for place in (part, part + 1))
            suffix = f", {part + 1} of {parts}" if parts > 1 else ""
            panels[f"{str(modality).replace('+', ' + ')}{suffix}"] = names[first:last]
    return panels


def _published_points(scores: pl.DataFrame) -> pl.DataFrame:
    """`system, labels, ua` of the published study, where this is its corpus and task."""
    comparable = scores["corpus"][0] == CORPUS and scores["chance_ua"][0] == 1 / CLASSES
    return pl.DataFrame(
        [
            {"system": curve.experiment, "labels": float(labels), "ua": float(ua)}
            for curve in (study_curves() if comparable else [])
            for labels, ua in zip(curve.labels, curve.ua, strict=True)
        ],
        schema={"system": pl.String, "labels": pl.Float64, "ua": pl.Float64},
    )


def _side_by_side(data: pl.DataFrame, panels: list[list[str]]) -> pl.DataFrame:
    """With each point's place on the axis (`x`): near its labels, by its place in the panel."""
    place = {
        name: number - (len(names) - 1) / 2 for names in panels for number, name in enumerate(names)
    }
    labels = data["labels"]
    span = float(labels.max()) / float(labels.min())  # type: ignore[arg-type]
    step = max(span, 2.0) ** _STEP
    return data.with_columns(
        (pl.col("labels") * step ** pl.col("experiment").replace_strict(place)).alias("x")
    )


def _panel(
    data: pl.DataFrame, names: list[str], published: pl.DataFrame
) -> alt.LayerChart | alt.FacetChart:
    """The curves of `names`; of all others in the data, a trace to compare them with."""
    own = data.filter(pl.col("experiment").is_in(names))
    others = data.filter(~pl.col("experiment").is_in(names))
    low, high = _limits(data, published)
    labels = [*data["x"], *published["labels"]]
    x = alt.X("x:Q", title="training utterances (mean over folds)")
    x = x.scale(type="log", nice=False, padding=12, domain=[min(labels), max(labels)])
    x = x.axis(values=round_numbers(labels) or alt.Undefined)
    y_scale = alt.Scale(domain=[low, high], nice=False)
    y = alt.Y("ua:Q", title="unweighted accuracy (UA)", scale=y_scale).axis(format=".0%")
    colours, shapes = scales(names)
    legend = alt.Legend(symbolOpacity=1, labelLimit=_LEGEND_PIXELS)
    colour = alt.Color("experiment:N", title="experiment", scale=colours, legend=legend)
    traces = (
        alt.Chart(others)
        .mark_line(strokeWidth=1.5, color=_FAINT)
        .encode(x=x, y=y, detail="experiment:N")
    )
    base = alt.Chart(own).encode(x=x, color=colour)
    bars = base.mark_rule(opacity=0.45, strokeWidth=1.5).encode(
        y=alt.Y("low:Q", scale=y_scale), y2="high:Q"
    )
    line = base.mark_line(strokeWidth=2).encode(y=y)
    points = base.mark_point(filled=True, size=70, opacity=1).encode(
        y=y,
        shape=alt.Shape("experiment:N", title="experiment", scale=shapes, legend=legend),
        tooltip=[
            alt.Tooltip("experiment:N"),
            alt.Tooltip("size:N", title="training size"),
            alt.Tooltip("labels:Q", title="training utterances", format=",.0f"),
            alt.Tooltip("ua:Q", title="UA, folds pooled", format=".1%"),
            alt.Tooltip("low:Q", title="bar from", format=".1%"),
            alt.Tooltip("high:Q", title="bar to", format=".1%"),
            alt.Tooltip("deviation:Q", title="± over repeats", format=".1%"),
            alt.Tooltip("ua_fold_mean:Q", title="UA, mean over folds", format=".1%"),
            alt.Tooltip("ua_fold_std:Q", title="± over folds", format=".1%"),
        ],
    )
    chance = alt.Chart(pl.DataFrame({"chance": [data["chance_ua"][0]]}))
    rule = chance.mark_rule(strokeDash=[5, 4]).encode(
        y=alt.Y("chance:Q", scale=y_scale), tooltip=[alt.Tooltip("chance:Q", format=".1%")]
    )
    layers = [*([traces] if len(others) else []), rule, bars, line, points]
    if len(published):
        layers += _published_layers(published, x, y)
    return alt.layer(*layers)


def _published_layers(published: pl.DataFrame, x: alt.X, y: alt.Y) -> list[alt.Chart]:
    base = alt.Chart(published.rename({"labels": "x"})).encode(x=x, y=y, detail="system:N")
    tooltip = [
        alt.Tooltip("system:N", title="published"),
        alt.Tooltip("x:Q", title="training utterances", format=",.0f"),
        alt.Tooltip("ua:Q", title="UA", format=".1%"),
    ]
    ends = published.sort("labels").group_by("system", maintain_order=True).last()
    text = alt.Chart(ends.rename({"labels": "x"})).encode(x=x, y=y, text="system:N")
    place: dict[str, Any] = {"align": "right", "dx": -8, "dy": -9, "fontSize": 11}
    halo = text.mark_text(stroke="white", strokeWidth=4, **place)
    names = text.mark_text(color=_PUBLISHED, **place)
    return [
        base.mark_line(strokeDash=[2, 3], strokeWidth=1.5, color=_PUBLISHED),
        base.mark_point(size=60, strokeWidth=1.5, color=_PUBLISHED).encode(tooltip=tooltip),
        halo,
        names,
    ]


def notes_lines(notes: str) -> list[str]:
    """What weakens the protocol, a line each."""
    return [f"Note: {note}" for note in notes.split("; ") if note]


def round_numbers(labels: list[float]) -> list[int]:
    """1, 2 and 5 times the powers of ten within the labels' range, for a logarithmic axis.

    >>> round_numbers([18.0, 80.0, 360.0])
    [20, 50, 100, 200]
    """
    candidates = [factor * 10**power for power in range(7) for factor in (1, 2, 5)]
    return [number for number in candidates if min(labels) <= number <= max(labels)]


def _limits(data: pl.DataFrame, published: pl.DataFrame) -> tuple[float, float]:
    """The whole of the data and the chance line, rounded to whole tenths, within 0 and 1."""
    ends = [*data["low"].drop_nans(), *data["high"].drop_nans(), *data["ua"], *published["ua"]]
    numbers = [float(end) for end in ends if end is not None]
    low, high = min(*numbers, float(data["chance_ua"][0])), max(numbers)
    return max(0.0, (low * 10 // 1 - 0.5) / 10), min(1.0, -(-high * 10 // 1) / 10)
