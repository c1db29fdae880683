"""Findings of an audit: their severities and the schema of their table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from emoscale.tables.schemas import schema_field

ERROR, WARNING, NOTE = "error", "warning", "note"
SEVERITIES = (ERROR, WARNING, NOTE)
"""Severities in descending order."""

AUDIT = pa.schema(
    [
        schema_field("finding", pa.string(), "kind of finding"),
        schema_field(
            "severity",
            pa.string(),
            "error: the protocol check fails; warning: shown with every score; note: information",
        ),
        schema_field("subject", pa.string(), "subject of the finding, such as a speaker"),
        schema_field("other", pa.string(), "second subject of the finding; may be empty"),
        schema_field("value", pa.float64(), "magnitude; the unit is in `detail`", null=True),
        schema_field("detail", pa.string(), "description of the finding"),
    ]
)
"""Findings of an audit, one per row, in descending order of severity."""


@dataclass(frozen=True)
class Finding:
    """Finding of an audit: a row of `AUDIT`."""

    finding: str
    severity: str
    subject: str
    detail: str
    other: str = ""
    value: float | None = None


def abbreviate_list(names: Sequence[str], limit: int = 3) -> str:
    """Join names by commas, and replace those beyond a limit by their number.

    Parameters
    ----------
    names : sequence of str
        Names to list.
    limit : int
        Number of names that are listed.

    Returns
    -------
    str
        The list.

    Examples
    --------
    >>> abbreviate_list(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    listed = ", ".join(names[:limit])
    return listed if len(names) <= limit else f"{listed} and {len(names) - limit} more"
