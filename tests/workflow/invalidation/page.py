"""The table as a Markdown page."""

from __future__ import annotations

from pathlib import Path

from tests.workflow.invalidation.keys import KEYS

_PAGE = Path(__file__).with_name("page.md")


def page() -> str:
    """Return the page."""
    rows = "\n".join(f"| `{key}` | {row.text} |" for key, row in KEYS.items())
    return _PAGE.read_text().format(rows=rows, count=len(KEYS))
