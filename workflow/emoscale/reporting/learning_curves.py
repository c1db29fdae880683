"""Unweighted accuracy against the number of labels."""

from __future__ import annotations

from pathlib import Path

import altair as alt
import polars as pl

from emoscale.reporting.figures import save, scales, weights_lines


def draw_learning_curves(scores: pl.DataFrame, html: Path, svg: Path) -> None:
    """A curve an experiment, with a band of one standard deviation over repeats."""
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
    names = scores["experiment"].unique(maintain_order=True).to_list()
    colours, shapes, dashes = scales(names)
    low, high = _limits(data)
    ticks = _round_numbers(data["labels"].to_list())
    x = alt.X("labels:Q", title="training utterances (mean over folds)")
    x = x.scale(type="log", nice=False, padding=12).axis(values=ticks or alt.Undefined)
    y_scale = alt.Scale(domain=[low, high], nice=False)
    legend = alt.Legend(symbolOpacity=1)
    colour = alt.Color("experiment:N", title="experiment", scale=colours, legend=legend)
    base = alt.Chart(data).encode(x=x, color=colour)
    band = base.mark_area(opacity=0.18).encode(y=alt.Y("low:Q", scale=y_scale), y2="high:Q")
    line = base.mark_line(strokeWidth=2).encode(
        y=alt.Y("ua:Q", title="unweighted accuracy (UA)", scale=y_scale).axis(format=".0%"),
        strokeDash=alt.StrokeDash("experiment:N", title="experiment", scale=dashes, legend=legend),
    )
    points = base.mark_point(filled=True, size=70, opacity=1).encode(
        y="ua:Q",
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
    chance = scores["chance_ua"][0]
    rule = alt.Chart(pl.DataFrame({"chance": [chance]})).mark_rule(strokeDash=[5, 4]).encode(
        y=alt.Y("chance:Q", scale=y_scale), tooltip=[alt.Tooltip("chance:Q", format=".1%")]
    )  # fmt: skip
    chart = alt.layer(rule, band, line, points).properties(
        width=560,
        height=360,
        title=alt.TitleParams(
            "How recognition grows with labels",
            subtitle=[
                f"{scores['corpus'][0]}; {scores['folds'][0]} folds, {scores['repeats'][0]} "
                "repeats; band: one standard deviation over repeats; dashed: chance",
                *notes_lines(scores["notes"][0]),
                *weights_lines(scores),
            ],
            anchor="start",
        ),
    )
    save(chart, html, svg)


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
