"""What all figures share: colours that colour-blind readers tell apart, titles, how to save."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import altair as alt
import polars as pl

from emoscale.runtime.files import atomic_path

# Okabe and Ito (2008), without the yellow, which is faint on white.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000"]
SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-left"]


def scales(names: list[str]) -> tuple[alt.Scale, alt.Scale]:
    """Colour and point shape of each name, in order; of as many names as there are `COLOURS`."""
    return (
        alt.Scale(domain=names, range=COLOURS[: len(names)]),
        alt.Scale(domain=names, range=SHAPES[: len(names)]),
    )


def largest_sizes(scores: pl.DataFrame) -> pl.DataFrame:
    """The row of each experiment's largest training size, in the study's order."""
    return (
        scores.with_row_index("row")
        .sort("training_utterances_mean", "row")
        .group_by("experiment")
        .last()
        .sort("row")
    )


def weights_lines(scores: pl.DataFrame) -> list[str]:
    """Which experiments read pre-trained weights, and from where, a line for each origin."""
    readers: dict[str, list[str]] = {}
    for experiment, weights in scores.select("experiment", "pretrained_weights").iter_rows():
        for origin in filter(None, weights.split("; ")):
            known = readers.setdefault(origin, [])
            if experiment not in known:
                known.append(experiment)
    return [
        f"Weights of {', '.join(experiments)}: {origin}" for origin, experiments in readers.items()
    ]


def wrapped(line: str, pixels: int, size: int = 11) -> list[str]:
    """A line as lines of about `pixels` at most, of letters that are `size` pixels high.

    >>> wrapped("aligned_fusion_confined_to_words", 120, size=12)
    ['aligned_fusion_con', 'fined_to_words']
    """
    letter = 0.55 * size  # Vega's Helvetica or Arial, in the mean
    return textwrap.wrap(line, int(pixels / letter), break_on_hyphens=False)


def title(words: str, lines: Iterable[str], width: int) -> alt.TitleParams:
    """A figure's title, with lines of explanation below that are wrapped to `width` pixels.

    Each line ends in a full stop, so that the lines can be read as one text too.
    """
    below = [part for line in lines for part in wrapped(f"{line.removesuffix('.')}.", width)]
    return alt.TitleParams(words, subtitle=below, anchor="start", offset=14)


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
            if form == "html":
                _keep_data_in_its_script(temporary)


def _keep_data_in_its_script(page: Path) -> None:
    """A name in the data that holds `</script>` would end the script and begin another."""
    head, mark, rest = page.read_text(encoding="utf-8").rpartition("\n  const spec = ")
    chart, end, tail = rest.partition(";\n")
    page.write_text(
        "".join([head, mark, chart.replace("<", r"\u003c"), end, tail]), encoding="utf-8"
    )
