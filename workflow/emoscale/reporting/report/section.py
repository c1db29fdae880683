"""A section of the page."""

from __future__ import annotations

from dataclasses import dataclass, field

from markupsafe import Markup

from emoscale.reporting.report.figure_view import FigureView
from emoscale.reporting.report.table_view import TableView


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
