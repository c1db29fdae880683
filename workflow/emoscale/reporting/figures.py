"""What all figures share: colours that colour-blind readers tell apart, and how they are saved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import altair as alt
import polars as pl

from emoscale.files import atomic_path

# Okabe and Ito (2008), without the yellow, which is faint on white.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000"]
DASHES = [[1, 0], [6, 2], [2, 2]]
SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-left"]


def scales(names: list[str]) -> tuple[alt.Scale, alt.Scale, alt.Scale]:
    """Colour, point shape and dash of the line of each name, in order.

    Colours repeat after seven names, with another shape and another dash.
    """
    colours = [COLOURS[place % len(COLOURS)] for place in range(len(names))]
    shapes = [SHAPES[(place + place // len(COLOURS)) % len(SHAPES)] for place in range(len(names))]
    dashes = [DASHES[place // len(COLOURS) % len(DASHES)] for place in range(len(names))]
    return (
        alt.Scale(domain=names, range=colours),
        alt.Scale(domain=names, range=shapes),
        alt.Scale(domain=names, range=dashes),
    )


def weights_lines(scores: pl.DataFrame) -> list[str]:
    """Which experiments read pre-trained weights, and from where, a line for each origin."""
    with_weights = scores.filter(pl.col("weights") != "")
    names = with_weights.group_by("weights", maintain_order=True).agg(
        pl.col("experiment").unique(maintain_order=True)
    )
    return [
        f"Weights of {', '.join(experiments)}: {weights}"
        for weights, experiments in names.iter_rows()
    ]


def save(chart: alt.TopLevelMixin, *paths: Path) -> None:
    """Write a chart to each path, in the form of its ending.

    .html is a page that needs no network, .svg a drawing, .png a picture for a screen.
    """
    styled = chart.configure_axis(labelFontSize=12, titleFontSize=13).configure_legend(
        labelFontSize=12, titleFontSize=13
    )
    for path in paths:
        form = path.suffix.lower().removeprefix(".")
        options: dict[str, Any] = {"html": {"inline": True}, "png": {"scale_factor": 2}}
        with atomic_path(path) as temporary:
            styled.save(str(temporary), format=form, **options.get(form, {}))
