"""What an audit finds: a row of its table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from emoscale.tables.schemas import schema_field

BREAKS, WEAKENS, NOTE = "error", "warning", "note"
SEVERITIES = (BREAKS, WEAKENS, NOTE)

AUDIT = pa.schema(
    [
        schema_field(
            "finding", pa.string(), "what was found, in a few words; the same for its kind"
        ),
        schema_field(
            "severity",
            pa.string(),
            "breaks: nothing is trained; weakens: stands beside every score; note: worth knowing",
        ),
        schema_field("subject", pa.string(), "whom or what it is about"),
        schema_field("other", pa.string(), "what the subject is found together with; may be empty"),
        schema_field("value", pa.float64(), "its size; the unit is in `detail`", null=True),
        schema_field("detail", pa.string(), "the finding in a sentence"),
    ]
)
"""A row a finding, the gravest first."""


@dataclass(frozen=True)
class Finding:
    """A row of `AUDIT`."""

    finding: str
    severity: str
    subject: str
    detail: str
    other: str = ""
    value: float | None = None


def named(names: Sequence[str], most: int = 3) -> str:
    """The first few of several names.

    >>> named(["a", "b", "c", "d", "e"])
    'a, b, c and 2 more'
    """
    listed = ", ".join(names[:most])
    return listed if len(names) <= most else f"{listed} and {len(names) - most} more"
