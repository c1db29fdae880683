"""Views of the page: sections, their figures, and tables that its program sorts and filters."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import altair as alt
import polars as pl
from markupsafe import Markup

from emoscale.reporting.report.columns import Column, columns_of
from emoscale.reporting.report.study import StudyTable


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
        schema_field = chart.to_dict()
    schema_field.pop("$schema", None)  # an address, which a page without a network does not need
    title = schema_field.pop("title", "")
    if isinstance(title, str):
        return FigureView(key, title, "", schema_field, rigid)
    text, subtitle = title.get("text", ""), title.get("subtitle", [])
    lines = [subtitle] if isinstance(subtitle, str) else subtitle
    # Warnings and weights stand on the page itself, once.
    own = itertools.takewhile(lambda line: not line.startswith(("Note: ", "Weights of ")), lines)
    words = text if isinstance(text, str) else " ".join(text)
    return FigureView(key, words, _joined(own), schema_field, rigid)


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


_INFINITY = "\ue000 infinity"  # a letter of private use: in no table
_DIGITS = 6  # of a number in the page; the files have all


@dataclass(frozen=True)
class TableView:
    """A table with what stands around it."""

    key: str
    """Name on the page, and of the file that is downloaded."""

    caption: str
    columns: list[Column]
    frame: pl.DataFrame
    file: str | None = None
    """Where the table lies beside the page."""

    folded: bool = False
    """Whether it is folded away under its caption."""

    def data(self) -> Markup:
        """The table for the page's program, safe within a script element."""
        return script_json(
            {
                "key": self.key,
                "columns": [asdict(column) for column in self.columns],
                "rows": len(self.frame),
                "data": {name: _encoded(self.frame[name]) for name in self.frame.columns},
            }
        )


def view_of(
    table: StudyTable,
    caption: str,
    *,
    shown: list[str] | None = None,
    key: str | None = None,
    file: str | None = None,
    folded: bool = False,
) -> TableView:
    """The view of a study's table; `shown` are the columns that stand there at first."""
    columns = columns_of(table.frame, dict(table.meanings), shown)
    return TableView(key or table.name, caption, columns, table.frame, file, folded)


def script_json(value: Any) -> Markup:
    """JSON that cannot end the script element it stands in, whatever its strings hold.

    What is not a number becomes null. JSON has no infinity, but 1e999 is read as it.

    >>> script_json([float("-inf"), float("nan")])
    Markup('[-1e999,null]')
    >>> script_json({"name": "</script><b>"})
    Markup('{"name":"\\\\u003c/script\\\\u003e\\\\u003cb\\\\u003e"}')
    """
    text = json.dumps(_finite(value), separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    text = text.replace(f'"{_INFINITY}"', "1e999").replace(f'"-{_INFINITY}"', "-1e999")
    for letter in "<>&\u2028\u2029":
        text = text.replace(letter, f"\\u{ord(letter):04x}")
    return Markup(text)  # nothing in it is markup


def _finite(value: Any) -> Any:
    """A value without what JSON does not have; infinities are marked."""
    if isinstance(value, dict):
        return {name: _finite(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, float) and math.isinf(value):
        return _INFINITY if value > 0 else f"-{_INFINITY}"
    return value


def _encoded(column: pl.Series) -> Any:
    """A column as a list, or as distinct values and their places where values repeat."""
    if column.dtype.is_nested():
        values: list[Any] = [
            None if value is None else json.dumps(value, ensure_ascii=False)
            for value in column.to_list()
        ]
    else:
        values = [_plain(value) for value in column.to_list()]
    distinct = list(dict.fromkeys(values))
    if len(distinct) > max(1, len(values) // 2):
        return values
    place = {value: number for number, value in enumerate(distinct)}
    return {"values": distinct, "places": [place[value] for value in values]}


def _plain(value: Any) -> Any:
    """A value with no more digits than the page shows or sorts by."""
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)


@dataclass(frozen=True)
class Section:
    """What stands under one heading; each part only where there is something."""

    key: str
    title: str
    absent: str = ""
    """Why there is nothing, in a sentence; then all else is empty."""

    paragraphs: list[str | Markup] = field(default_factory=list)
    facts: list[tuple[str, str | Markup]] = field(default_factory=list)
    """Terms with what holds for them."""

    figures: list[FigureView] = field(default_factory=list)
    tables: list[TableView] = field(default_factory=list)
    listings: list[tuple[str, str]] = field(default_factory=list)
    """Summaries with text that is folded away below them, line by line as written."""
