"""The table as a page."""

from __future__ import annotations

from pathlib import Path

from tests.workflow.invalidation.keys import KEYS

_PAGE = Path(__file__).with_name("page.md")


def page() -> str:
    """The table for people."""
    rows = "\n".join(f"| `{key}` | {row.words} |" for key, row in KEYS.items())
    return _PAGE.read_text().format(rows=rows, count=len(KEYS))
