"""What trained models lose when their test audio is changed."""

from __future__ import annotations

from pathlib import Path

import altair as alt
import polars as pl

from emoscale.config.robustness import CLEAN
from emoscale.reporting.figures import COLOURS, save, scales, title, weights_lines

_WORDS = "What changed test audio costs"
_AXES = {
    "white noise": "white noise: signal-to-noise ratio, dB",
    "babble": "babble: signal-to-noise ratio, dB",
    "reverberation": "reverberation time (RT60), s",
    "telephone": "telephone band",
}
_PANEL_PIXELS = 220
_LEGEND_PIXELS = 800  # a study's names have 64 characters at most
_NAME = "name"


def draw_robustness(robustness: pl.DataFrame, scores: pl.DataFrame, html: Path, svg: Path) -> None:
    """Write the figure of `robustness_chart`."""
    save(robustness_chart(robustness, scores), html, svg)


def robustness_chart(robustness: pl.DataFrame, scores: pl.DataFrame) -> alt.TopLevelMixin:
    """A column a kind of change, a line an experiment: UA against the level, and clean UA at left.

    As many experiments as there are colours share a row of panels.
    """
    order = scores.unique("experiment", keep="first", maintain_order=True)["experiment"].to_list()
    several = robustness.group_by("experiment").agg(pl.col("size").n_unique())["size"].max() != 1
    name = pl.format("{}, {}", "experiment", "size") if several else pl.col("experiment")
    data = robustness.with_columns(name.alias(_NAME))
    names = sorted(
        data[_NAME].unique(maintain_order=True),
        key=lambda each: order.index(data.filter(pl.col(_NAME) == each)["experiment"][0]),
    )
    kinds = [kind for kind in _AXES if kind in set(data["kind"])]
    limits = _limits(data, scores)
    rows = [
        alt.hconcat(
            *(_panel(data, names[first : first + len(COLOURS)], kind, limits) for kind in kinds)
        )
        for first in range(0, len(names), len(COLOURS))
    ]
    lines = [
        f"{scores['corpus'][0]}; the same trained models, tested on audio that went through it; "
        "point: unweighted accuracy (UA), all folds pooled; line: 95 % interval over speakers and "
        f"repeats; at the left: {CLEAN} audio",
        *weights_lines(scores.join(robustness, on="experiment", how="semi")),
    ]
    words = title(_WORDS, lines, max(560, (_PANEL_PIXELS + 60) * len(kinds)))
    figure = alt.vconcat(*rows, title=words)
    chart: alt.VConcatChart = figure.resolve_scale(color="independent", shape="independent")
    return chart


def _panel(
    data: pl.DataFrame, names: list[str], kind: str, limits: list[float]
) -> alt.LayerChart | alt.FacetChart:
    own = data.filter(pl.col(_NAME).is_in(names), pl.col("kind").is_in([CLEAN, kind]))
    levels = own.filter(pl.col("kind") == kind).select("level", "unit", "condition").unique()
    mildest_first = (levels["unit"] == "dB").any()
    number = pl.col("level").round(2).cast(pl.String).str.strip_suffix(".0")
    shown = (
        pl.when(pl.col("kind") == CLEAN)
        .then(pl.lit(CLEAN))
        .otherwise(pl.coalesce(number, "condition"))  # a telephone has no level
    )
    own = own.with_columns(shown=shown)
    ordered = own.filter(pl.col("kind") == kind).sort("level", descending=mildest_first)
    places = [CLEAN, *ordered["shown"].unique(maintain_order=True)]
    colours, shapes = scales(names)
    x = alt.X("shown:O", title=_AXES[kind], sort=places).axis(labelAngle=0)
    y_scale = alt.Scale(domain=limits, nice=False)
    offset = alt.XOffset(f"{_NAME}:N", sort=names, scale=alt.Scale(paddingOuter=0.8))
    legend = alt.Legend(symbolOpacity=1, labelLimit=_LEGEND_PIXELS)
    colour = alt.Color(f"{_NAME}:N", title="experiment", scale=colours, sort=names, legend=legend)
    base = alt.Chart(own).encode(x=x, xOffset=offset, color=colour)
    spread = (
        base.transform_filter("isValid(datum.ua_low)")
        .mark_rule(strokeWidth=1.5)
        .encode(y=alt.Y("ua_low:Q", scale=y_scale), y2="ua_high:Q")
    )
    y = alt.Y("ua:Q", title="unweighted accuracy (UA)", scale=y_scale).axis(format=".0%")
    line = base.mark_line(strokeWidth=1, opacity=0.6).encode(y=y)
    points = base.mark_point(filled=True, size=70, opacity=1).encode(
        y=y,
        shape=alt.Shape(f"{_NAME}:N", title="experiment", scale=shapes, sort=names, legend=legend),
        tooltip=[
            alt.Tooltip("experiment:N"),
            alt.Tooltip("size:N", title="training size"),
            alt.Tooltip("condition:N"),
            alt.Tooltip("ua:Q", title="UA", format=".1%"),
            alt.Tooltip("ua_low:Q", title="UA, lower end", format=".1%"),
            alt.Tooltip("ua_high:Q", title="UA, upper end", format=".1%"),
            alt.Tooltip("drop:Q", title="less than clean", format=".1%"),
            alt.Tooltip("drop_low:Q", title="less, lower end", format=".1%"),
            alt.Tooltip("drop_high:Q", title="less, upper end", format=".1%"),
        ],
    )
    return alt.layer(spread, line, points).properties(width=_PANEL_PIXELS, height=240)


def _limits(data: pl.DataFrame, scores: pl.DataFrame) -> list[float]:
    """Of all that is drawn, with chance, in whole tenths."""
    ends = [*data["ua"], *data["ua_low"].drop_nulls(), *data["ua_high"].drop_nulls()]
    low = min(*ends, float(scores["chance_ua"][0]))
    return [max(0.0, low * 10 // 1 / 10), min(1.0, -(-max(ends) * 10 // 1) / 10)]
