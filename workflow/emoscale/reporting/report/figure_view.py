"""A figure on the page: what a chart draws, with its title and explanation as text."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import altair as alt
from markupsafe import Markup

from emoscale.reporting.report.table_view import script_json


@dataclass(frozen=True)
class FigureView:
    """A chart and the words that belong to it."""

    key: str
    title: str
    explanation: str
    chart: dict[str, Any]
    """Vega-Lite."""

    rigid: bool = False
    """Whether it scrolls where there is too little room, instead of being laid out anew."""

    def data(self) -> Markup:
        """The chart for the page's program, safe within a script element."""
        return script_json(self.chart)


def figure_of(key: str, chart: alt.TopLevelMixin, rigid: bool = False) -> FigureView:
    """The view of a chart, whose own title and subtitle become text of the page."""
    with alt.data_transformers.enable("default", max_rows=None):
        described = chart.to_dict()
    described.pop("$schema", None)  # an address, which a page without a network does not need
    title = described.pop("title", "")
    if isinstance(title, str):
        return FigureView(key, title, "", described, rigid)
    text, subtitle = title.get("text", ""), title.get("subtitle", [])
    lines = [subtitle] if isinstance(subtitle, str) else subtitle
    # Warnings and weights stand on the page itself, once.
    own = itertools.takewhile(lambda line: not line.startswith(("Note: ", "Weights of ")), lines)
    words = text if isinstance(text, str) else " ".join(text)
    return FigureView(key, words, _joined(own), described, rigid)


def _joined(lines: Iterable[str]) -> str:
    """Lines as running text: one that follows a full stop begins with a capital letter.

    >>> _joined(["band: one deviation;", "dashed: chance.", "grey: the others."])
    'band: one deviation; dashed: chance. Grey: the others.'
    """
    text = ""
    for line in lines:
        begins = line[:1].upper() + line[1:] if text.endswith(".") else line
        text = f"{text} {begins}".strip()
    return text
