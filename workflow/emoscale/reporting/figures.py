"""Shared parts of all figures: colours, point shapes, titles and saving.

The colours are those of Okabe and Ito, which readers with a colour vision deficiency can
distinguish.

References
----------
M. Okabe and K. Ito, "Color Universal Design", 2008, https://jfly.uni-koeln.de/color/
"""

from __future__ import annotations

import textwrap
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import altair as alt
import polars as pl

from emoscale.runtime.files import atomic_path

# Without the yellow of the palette, which has too little contrast on white.
COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000"]
SHAPES = ["circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-left"]


def colour_and_shape_scales(names: list[str]) -> tuple[alt.Scale, alt.Scale]:
    """Return the scales that map each name to a colour and to a point shape, in order.

    Parameters
    ----------
    names : list of str
        At most as many names as there are `COLOURS`.

    Returns
    -------
    tuple of altair.Scale
        The colour scale and the shape scale.
    """
    return (
        alt.Scale(domain=names, range=COLOURS[: len(names)]),
        alt.Scale(domain=names, range=SHAPES[: len(names)]),
    )


def shown_experiments(
    ranking: Sequence[str], reference: str, maximum: int = 40
) -> list[str] | None:
    """Select the experiments of figures and long tables of a large study.

    Parameters
    ----------
    ranking : sequence of str
        Names of all experiments, the best first.
    reference : str
        The experiment that others are compared with; empty: none.
    maximum : int
        Largest number of experiments.

    Returns
    -------
    list of str or None
        The best experiments and the reference; None: all of the study.

    Examples
    --------
    >>> shown_experiments(["best", "second", "third", "mfcc"], "mfcc", maximum=3)
    ['best', 'second', 'mfcc']
    """
    if len(ranking) <= maximum:
        return None
    last = [reference] if reference in ranking else []
    others = [name for name in ranking if name != reference]
    return [*others[: maximum - len(last)], *last]


def of_experiments(table: pl.DataFrame, names: Collection[str]) -> pl.DataFrame:
    """Return the rows of some experiments; of a table of pairs, those with both in `names`.

    Parameters
    ----------
    table : DataFrame
        Any table of a study.
    names : collection of str
        Names of experiments.

    Returns
    -------
    DataFrame
        The rows; all of them if the table has no column `experiment`.
    """
    for column in PAIR_COLUMNS if is_of_pairs(table) else PAIR_COLUMNS[:1]:
        if column in table.columns:
            table = table.filter(pl.col(column).is_in(list(names)))
    return table


PAIR_COLUMNS = ("experiment", "other")
"""Columns of the experiments of a table of pairs."""


def is_of_pairs(table: pl.DataFrame) -> bool:
    """Return whether a table compares experiments, and not groups of one experiment.

    Parameters
    ----------
    table : DataFrame
        Any table of a study.

    Returns
    -------
    bool
        Whether it is a table of pairs.
    """
    return set(PAIR_COLUMNS) <= set(table.columns) and "group" not in table.columns


def weights_lines(scores: pl.DataFrame) -> list[str]:
    """Return the source of all pre-trained weights, with the experiments that use them.

    Parameters
    ----------
    scores : DataFrame
        The table of scores, with `experiment` and `pretrained_weights`.

    Returns
    -------
    list of str
        One line per source of pre-trained weights.
    """
    experiments_of_source: dict[str, list[str]] = {}
    for experiment, pretrained_weights in scores.select(
        "experiment", "pretrained_weights"
    ).iter_rows():
        for source in filter(None, pretrained_weights.split("; ")):
            experiments = experiments_of_source.setdefault(source, [])
            if experiment not in experiments:
                experiments.append(experiment)
    return [
        f"Weights of {', '.join(experiments)}: {source}"
        for source, experiments in experiments_of_source.items()
    ]


def note_lines(notes: pl.Series) -> list[str]:
    """Return each note of a table of scores once, with all subjects of which it says the same.

    Parameters
    ----------
    notes : Series
        Column `notes`: several notes a row, one a line.

    Returns
    -------
    list of str
        The notes, in the order of the table.
    """
    lines = (line for text in notes.unique(maintain_order=True) for line in text.split("\n"))
    subjects: dict[str, list[str]] = {}  # such as experiments, of which the same is said
    for line in filter(None, dict.fromkeys(lines)):
        subject, colon, statement = (
            line.rpartition(": ") if line.count(": ") == 1 else ("", "", line)
        )
        subjects.setdefault(colon + statement, []).append(subject)
    return [", ".join(names) + statement for statement, names in subjects.items()]


def wrap_text(text: str, width: int, font_size: int = 11) -> list[str]:
    """Break a text into lines that fit a width.

    Parameters
    ----------
    text : str
        The text.
    width : int
        Width of a line in pixels.
    font_size : int
        Font size in pixels.

    Returns
    -------
    list of str
        The lines.

    Examples
    --------
    >>> wrap_text("aligned_fusion_confined_to_words", 120, font_size=12)
    ['aligned_fusion_con', 'fined_to_words']
    """
    letter_width = 0.55 * font_size  # mean over the letters of Helvetica and Arial
    return textwrap.wrap(text, int(width / letter_width), break_on_hyphens=False)


def figure_title(text: str, explanations: Iterable[str], width: int) -> alt.TitleParams:
    """Return a figure's title with its explanation as the subtitle.

    Each explanation ends with a full stop, so that all of them also read as one paragraph.

    Parameters
    ----------
    text : str
        The title.
    explanations : iterable of str
        Sentences of the subtitle.
    width : int
        Width at which the sentences are wrapped, in pixels.

    Returns
    -------
    altair.TitleParams
        The title.
    """
    subtitle = [
        line
        for explanation in explanations
        for line in wrap_text(f"{explanation.removesuffix('.')}.", width)
    ]
    return alt.TitleParams(text, subtitle=subtitle, anchor="start", offset=14)


def empty_figure(text: str, reason: str) -> alt.Chart:
    """Return a figure without data: its title, and the reason why nothing is drawn.

    Parameters
    ----------
    text : str
        The title.
    reason : str
        Why there is nothing to draw.

    Returns
    -------
    altair.Chart
        The figure.
    """
    empty = alt.Chart(pl.DataFrame({"text": [""]})).mark_text().encode(text="text:N")
    sized = empty.properties(width=480, height=10, title=figure_title(text, [reason], 480))
    frameless: alt.Chart = sized.configure_view(stroke=None)
    return frameless


def save(chart: alt.TopLevelMixin, *paths: Path) -> None:
    """Write a chart to each path, in the format of the file name extension.

    Parameters
    ----------
    chart : altair.TopLevelMixin
        The chart.
    *paths : Path
        Files: `.html` is a page that works without a network, `.svg` a vector graphic, `.png` an
        image of twice the screen resolution.
    """
    styled = chart.configure_axis(labelFontSize=12, titleFontSize=13).configure_legend(
        labelFontSize=12, titleFontSize=13
    )
    # Legends are laid out in a font like Arial; a reader's font may be wider.
    styled = styled.properties(padding={"left": 5, "top": 5, "right": 25, "bottom": 5})
    for path in paths:
        file_format = path.suffix.lower().removeprefix(".")
        options: dict[str, Any] = {"html": {"inline": True}, "png": {"scale_factor": 2}}
        with atomic_path(path) as temporary:
            styled.save(str(temporary), format=file_format, **options.get(file_format, {}))
            if file_format == "html":
                _escape_chart_data(temporary)


def _escape_chart_data(page: Path) -> None:
    """Escape `<` in the data: a name that holds `</script>` would end the script element."""
    head, marker, rest = page.read_text(encoding="utf-8").rpartition("\n  const spec = ")
    chart, end, tail = rest.partition(";\n")
    page.write_text(
        "".join([head, marker, chart.replace("<", r"\u003c"), end, tail]), encoding="utf-8"
    )
