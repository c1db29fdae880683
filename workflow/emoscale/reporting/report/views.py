"""Views of the page: sections, figures and tables, with their data as JSON."""

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

from emoscale.reporting.report.columns import Column, table_columns
from emoscale.reporting.report.study import StudyTable


@dataclass(frozen=True)
class FigureView:
    """A chart with its title and its explanation."""

    key: str
    """Name of the figure on the page."""

    title: str
    explanation: str

    chart: dict[str, Any]
    """The chart as Vega-Lite."""

    fixed_layout: bool = False
    """Whether the layout stays the same on a narrow screen, where the figure scrolls."""

    def data(self) -> Markup:
        """Return the chart as JSON for a script element.

        Returns
        -------
        Markup
            The JSON.
        """
        return script_json(self.chart)


def figure_view(key: str, chart: alt.TopLevelMixin, fixed_layout: bool = False) -> FigureView:
    """Return the view of a chart; title and subtitle of the chart become text of the page.

    Parameters
    ----------
    key : str
        Name of the figure on the page.
    chart : altair.TopLevelMixin
        The chart.
    fixed_layout : bool
        Whether the layout stays the same on a narrow screen.

    Returns
    -------
    FigureView
        The view.
    """
    with alt.data_transformers.enable("default", max_rows=None):
        specification = chart.to_dict()
    specification.pop("$schema", None)  # a URL, which a page without a network does not need
    title = specification.pop("title", "")
    if isinstance(title, str):
        return FigureView(key, title, "", specification, fixed_layout)
    text, subtitle = title.get("text", ""), title.get("subtitle", [])
    lines = [subtitle] if isinstance(subtitle, str) else subtitle
    # The page shows the warnings and the sources of pre-trained weights elsewhere.
    explanation = itertools.takewhile(
        lambda line: not line.startswith(("Note: ", "Weights of ")), lines
    )
    joined_title = text if isinstance(text, str) else " ".join(text)
    return FigureView(key, joined_title, _join_lines(explanation), specification, fixed_layout)


def _join_lines(lines: Iterable[str]) -> str:
    """Join lines to a paragraph; a line after a full stop begins with a capital letter.

    >>> _join_lines(["band: one deviation;", "dashed: chance.", "grey: the others."])
    'band: one deviation; dashed: chance. Grey: the others.'
    """
    text = ""
    for line in lines:
        capitalised = line[:1].upper() + line[1:] if text.endswith(".") else line
        text = f"{text} {capitalised}".strip()
    return text


_INFINITY = "\ue000 infinity"  # begins with a private-use character, which no table contains
_DIGITS = 6  # significant digits of numbers on the page; the files have all


@dataclass(frozen=True)
class TableView:
    """A table with its caption and its columns."""

    key: str
    """Name of the table on the page, and of the file that is downloaded."""

    caption: str
    columns: list[Column]
    dataframe: pl.DataFrame

    file: str | None = None
    """Path of the same table, relative to the page."""

    collapsed: bool = False
    """Whether only the caption is visible until the reader opens the table."""

    def data(self) -> Markup:
        """Return the table as JSON for a script element.

        Returns
        -------
        Markup
            The JSON.
        """
        return script_json(
            {
                "key": self.key,
                "columns": [asdict(column) for column in self.columns],
                "rows": len(self.dataframe),
                "data": {
                    name: _encode_column(self.dataframe[name]) for name in self.dataframe.columns
                },
            }
        )


def table_view(
    table: StudyTable,
    caption: str,
    *,
    visible: list[str] | None = None,
    key: str | None = None,
    file: str | None = None,
    collapsed: bool = False,
) -> TableView:
    """Return the view of a table.

    Parameters
    ----------
    table : StudyTable
        The table.
    caption : str
        Its caption.
    visible : list of str or None
        Columns that are visible at first; None: all.
    key : str or None
        Name of the table on the page; None: the name of the table.
    file : str or None
        Path of the same table, relative to the page.
    collapsed : bool
        Whether only the caption is visible at first.

    Returns
    -------
    TableView
        The view.
    """
    columns = table_columns(table.dataframe, dict(table.meanings), visible)
    return TableView(key or table.name, caption, columns, table.dataframe, file, collapsed)


def script_json(value: Any) -> Markup:
    r"""Return JSON that is safe in a script element, whatever its strings contain.

    NaN becomes null. Infinity, which JSON does not have, becomes 1e999, which is read as infinity.

    Parameters
    ----------
    value : Any
        A value of lists, dictionaries, strings, numbers and None.

    Returns
    -------
    Markup
        The JSON.

    Examples
    --------
    >>> script_json([float("-inf"), float("nan")])
    Markup('[-1e999,null]')
    >>> script_json({"name": "</script><b>"})
    Markup('{"name":"\\u003c/script\\u003e\\u003cb\\u003e"}')
    """
    text = json.dumps(
        _without_nan(value), separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    text = text.replace(f'"{_INFINITY}"', "1e999").replace(f'"-{_INFINITY}"', "-1e999")
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # all markup in it is escaped


def _without_nan(value: Any) -> Any:
    """Return a value with null for NaN and a marker for infinity."""
    if isinstance(value, dict):
        return {name: _without_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, float) and math.isinf(value):
        return _INFINITY if value > 0 else f"-{_INFINITY}"
    return value


def _encode_column(column: pl.Series) -> Any:
    """Return a column as a list, or as its distinct values and indices if values repeat."""
    if column.dtype.is_nested():
        values: list[Any] = [
            None if value is None else json.dumps(value, ensure_ascii=False)
            for value in column.to_list()
        ]
    else:
        values = [_rounded(value) for value in column.to_list()]
    distinct = list(dict.fromkeys(values))
    if len(distinct) > max(1, len(values) // 2):
        return values
    index = {value: number for number, value in enumerate(distinct)}
    return {"values": distinct, "indices": [index[value] for value in values]}


def _rounded(value: Any) -> Any:
    """Return a value with at most the digits that the page shows or sorts by."""
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)


@dataclass(frozen=True)
class Section:
    """A section of the page; each of its fields may be empty."""

    key: str
    """Name of the section on the page."""

    title: str

    absent: str = ""
    """Why the study does not have this section; all fields below are then empty."""

    paragraphs: list[str | Markup] = field(default_factory=list)

    facts: list[tuple[str, str | Markup]] = field(default_factory=list)
    """Terms with their values."""

    figures: list[FigureView] = field(default_factory=list)
    tables: list[TableView] = field(default_factory=list)

    listings: list[tuple[str, str]] = field(default_factory=list)
    """Captions with preformatted text, which is collapsed at first."""
