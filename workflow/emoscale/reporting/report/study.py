"""What a report is written from: the tables of a study, and the checks of its protocol."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from emoscale.reporting.figures import largest_sizes
from emoscale.runtime.errors import StoreError, reason_of
from emoscale.tables.parquet import read_arrow, read_metadata


@dataclass(frozen=True)
class StudyTable:
    """A table as it lies in a study's folder, with the meaning of each column."""

    name: str
    frame: pl.DataFrame
    meanings: Mapping[str, str] = field(default_factory=dict)
    about: Mapping[str, str] = field(default_factory=dict)
    """What is said of the table as a whole (see `tables.read_metadata`)."""


@dataclass(frozen=True)
class Study:
    """All that a report may say."""

    tables: Mapping[str, StudyTable]
    checks: Mapping[str, Any]
    """`protocol/checks.json`."""

    settings: Mapping[str, Any]
    """Parts of the study's configuration, by their name."""

    def rows(self, name: str) -> pl.DataFrame | None:
        """The rows of a table; None where the study has no such table, or an empty one."""
        table = self.tables.get(name)
        return None if table is None or table.frame.is_empty() else table.frame

    @cached_property
    def scores(self) -> pl.DataFrame:
        """The table every study has."""
        return self.tables["scores"].frame

    @cached_property
    def largest(self) -> pl.DataFrame:
        """The score of each experiment at its largest size, best first."""
        return largest_sizes(self.scores).sort("ua", descending=True, maintain_order=True)

    @property
    def corpus(self) -> str:
        """What the corpus is called."""
        return str(self.scores["corpus"][0])

    @property
    def shuffled(self) -> bool:
        """Whether this is a negative control, whose training labels are permuted."""
        return bool(self.checks.get("labels_shuffled"))

    @property
    def synthetic(self) -> bool:
        """Whether the corpus's speech is generated."""
        return "synthetic" in self.corpus

    @cached_property
    def random_weights(self) -> list[str]:
        """The experiments that read networks whose weights are random."""
        untrained = self.scores.filter(
            pl.col("pretrained_weights").str.contains("untrained|random")
        )
        return untrained["experiment"].unique(maintain_order=True).to_list()

    @cached_property
    def notes(self) -> list[str]:
        """What weakens the scores, each once."""
        return [note for note in str(self.scores["notes"][0]).split("; ") if note]


def highest(table: pl.DataFrame, column: str) -> int:
    """The largest whole number of a column."""
    return max(int(value) for value in table[column])


def read_study(
    paths: Iterable[Path], checks: Path, settings: Mapping[str, Any] | None = None
) -> Study:
    """Read the tables, each called as its file is, and the protocol's checks.

    Raises `StoreError` where a file cannot be read, or `scores` is missing or has no rows.
    """
    tables = {path.stem: read_study_table(path) for path in paths}
    if "scores" not in tables or tables["scores"].frame.is_empty():
        raise StoreError("a report needs the table of scores, with rows: run make_tables first")
    try:
        found = json.loads(checks.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoreError(f"{checks} does not exist; run check_protocol first") from None
    except ValueError as error:
        raise StoreError(
            f"{checks}: is not JSON ({reason_of(error)}); remove it and run again"
        ) from None
    return Study(tables, found, settings or {})


def read_study_table(path: Path) -> StudyTable:
    """Read a table with what its columns mean; raises `StoreError` where it cannot be read."""
    arrow = read_arrow(path)
    meanings = {
        field.name: (field.metadata or {}).get(b"meaning", b"").decode() for field in arrow.schema
    }
    frame = pl.from_arrow(arrow)
    assert isinstance(frame, pl.DataFrame)
    return StudyTable(path.stem, frame, meanings, read_metadata(path))
