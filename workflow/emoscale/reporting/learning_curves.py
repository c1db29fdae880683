"""Unweighted accuracy against the number of labels."""

from __future__ import annotations

from pathlib import Path

import altair as alt
import polars as pl

from emoscale.reporting.figures import COLOURS, save, scales, title, weights_lines

_FAINT = "#dcdcdc"
_LEGEND_PIXELS = 800  # a study's names have 64 characters at most


def draw_learning_curves(scores: pl.DataFrame, html: Path, svg: Path) -> None:
    """Write the figure of `learning_curves_chart`."""
    save(learning_curves_chart(scores), html, svg)


def learning_curves_chart(scores: pl.DataFrame) -> alt.TopLevelMixin:
    """A curve an experiment, with a band of one standard deviation over repeats.

    More curves than one panel can tell apart are drawn in several: see `panels_of`.
    """
    data = scores.select(
        "experiment",
        "size",
        pl.col("training_utterances_mean").alias("labels"),
        pl.col("ua").alias("ua"),
        (pl.col("ua") - pl.col("ua_repeat_deviation")).alias("low"),
        (pl.col("ua") + pl.col("ua_repeat_deviation")).alias("high"),
        pl.col("ua_repeat_deviation").alias("deviation"),
        "ua_fold_mean",
        "ua_fold_deviation",
        "chance_ua",
    ).sort("experiment", "labels")
    panels = panels_of(scores)
    lines = [
        f"{scores['corpus'][0]}; {scores['folds'][0]} folds, {scores['repeats'][0]} "
        "repeats; band: one standard deviation over repeats; dashed: chance",
        *(["grey: the curves of the other panels"] if len(panels) > 1 else []),
        *notes_lines(scores["notes"][0]),
        *weights_lines(scores),
    ]
    words = "How recognition grows with labels"
    chart: alt.TopLevelMixin
    if len(panels) == 1:
        (names,) = panels.values()
        chart = _panel(data, names).properties(
            width=560, height=360, title=title(words, lines, width=700)
        )
    else:
        drawn = [
            _panel(data, names).properties(width=400, height=280, title=group)
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


def _panel(data: pl.DataFrame, names: list[str]) -> alt.LayerChart | alt.FacetChart:
    """The curves of `names`; of all others in the data, a trace to compare them with."""
    own = data.filter(pl.col("experiment").is_in(names))
    others = data.filter(~pl.col("experiment").is_in(names))
    low, high = _limits(data)
    labels = data["labels"].to_list()
    x = alt.X("labels:Q", title="training utterances (mean over folds)")
    x = x.scale(type="log", nice=False, padding=12, domain=[min(labels), max(labels)])
    x = x.axis(values=_round_numbers(labels) or alt.Undefined)
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
    band = base.mark_area(opacity=0.18).encode(y=alt.Y("low:Q", scale=y_scale), y2="high:Q")
    line = base.mark_line(strokeWidth=2).encode(y=y)
    points = base.mark_point(filled=True, size=70, opacity=1).encode(
        y=y,
        shape=alt.Shape("experiment:N", title="experiment", scale=shapes, legend=legend),
        tooltip=[
            alt.Tooltip("experiment:N"),
            alt.Tooltip("size:N", title="training size"),
            alt.Tooltip("labels:Q", title="training utterances", format=",.0f"),
            alt.Tooltip("ua:Q", title="UA, folds pooled", format=".1%"),
            alt.Tooltip("deviation:Q", title="± over repeats", format=".1%"),
            alt.Tooltip("ua_fold_mean:Q", title="UA, mean over folds", format=".1%"),
            alt.Tooltip("ua_fold_deviation:Q", title="± over folds", format=".1%"),
        ],
    )
    chance = alt.Chart(pl.DataFrame({"chance": [data["chance_ua"][0]]}))
    rule = chance.mark_rule(strokeDash=[5, 4]).encode(
        y=alt.Y("chance:Q", scale=y_scale), tooltip=[alt.Tooltip("chance:Q", format=".1%")]
    )
    return alt.layer(*([traces] if len(others) else []), rule, band, line, points)


def notes_lines(notes: str) -> list[str]:
    """What weakens the protocol, a line each."""
    return [f"Note: {note}" for note in notes.split("; ") if note]


def _round_numbers(labels: list[float]) -> list[int]:
    """1, 2 and 5 times the powers of ten within the labels' range, for a logarithmic axis.

    >>> _round_numbers([18.0, 80.0, 360.0])
    [20, 50, 100, 200]
    """
    candidates = [factor * 10**power for power in range(7) for factor in (1, 2, 5)]
    return [number for number in candidates if min(labels) <= number <= max(labels)]


def _limits(data: pl.DataFrame) -> tuple[float, float]:
    """The whole of the data and the chance line, rounded to whole tenths, within 0 and 1."""
    low = min(float(data["low"].min()), float(data["chance_ua"].min()))  # type: ignore[arg-type]
    high = float(data["high"].max())  # type: ignore[arg-type]
    return max(0.0, (low * 10 // 1 - 0.5) / 10), min(1.0, -(-high * 10 // 1) / 10)
