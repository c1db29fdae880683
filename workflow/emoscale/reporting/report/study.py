"""Input of the report: the tables of a study and the checks of its protocol."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import polars as pl

from emoscale.evaluation.ceiling import ONE_MORE_RATER
from emoscale.evaluation.comparisons import rank_experiments
from emoscale.evaluation.scores import largest_sizes
from emoscale.reporting.figures import note_lines, of_experiments
from emoscale.runtime.errors import StoreError, error_summary
from emoscale.tables.parquet import read_arrow, read_metadata


@dataclass(frozen=True)
class StudyTable:
    """A table of the study's results."""

    name: str

    dataframe: pl.DataFrame

    meanings: Mapping[str, str] = field(default_factory=dict)
    """Description of each column."""

    metadata: Mapping[str, str] = field(default_factory=dict)
    """Metadata of the whole table (`tables.read_metadata`)."""


@dataclass(frozen=True)
class Study:
    """All inputs of the report."""

    tables: Mapping[str, StudyTable]
    """Tables by their name."""

    checks: Mapping[str, Any]
    """Content of `protocol/checks.json`."""

    settings: Mapping[str, Any]
    """Sections of the study's configuration by their key."""

    def rows(self, name: str) -> pl.DataFrame | None:
        """Return the rows of a table.

        Parameters
        ----------
        name : str
            Name of the table.

        Returns
        -------
        DataFrame or None
            The rows; None if the study has no such table, or if the table is empty.
        """
        table = self.tables.get(name)
        return None if table is None or table.dataframe.is_empty() else table.dataframe

    @cached_property
    def scores(self) -> pl.DataFrame:
        """The table of scores, which every study has."""
        return self.tables["scores"].dataframe

    @cached_property
    def ranking(self) -> pl.DataFrame:
        """The score of each experiment at its largest size, the best learning curve first."""
        names = rank_experiments(self.rows("comparisons"), self.scores)
        order = pl.DataFrame({"experiment": names})
        return order.join(largest_sizes(self.scores), on="experiment", maintain_order="left")

    @property
    def reference(self) -> str:
        """The experiment that others are compared with; empty: none."""
        for name in ("comparisons", "efficiency"):
            table = self.tables.get(name)
            if table is not None and table.metadata.get("reference"):
                return table.metadata["reference"]
        return ""

    def of_experiments(self, names: Collection[str]) -> Study:
        """Return the study with the rows of some experiments only, and those of the rater.

        Parameters
        ----------
        names : collection of str
            Names of experiments.

        Returns
        -------
        Study
            The smaller study.
        """
        tables = {
            name: replace(
                table, dataframe=of_experiments(table.dataframe, [*names, ONE_MORE_RATER])
            )
            for name, table in self.tables.items()
        }
        return replace(self, tables=tables)

    @property
    def corpus(self) -> str:
        """The name of the corpus."""
        return str(self.scores["corpus"][0])

    @property
    def labels_shuffled(self) -> bool:
        """Whether the study is a negative control, whose training labels are permuted."""
        return bool(self.checks.get("labels_shuffled"))

    @property
    def synthetic(self) -> bool:
        """Whether the speech of the corpus is generated."""
        return "synthetic" in self.corpus

    @cached_property
    def random_weights(self) -> list[str]:
        """The experiments whose representations come from networks with random weights."""
        # At the start of a description: a checkpoint's name may be any word.
        untrained = self.scores.filter(
            pl.col("pretrained_weights").str.contains("(^|[,;] )untrained: ")
        )
        return untrained["experiment"].unique(maintain_order=True).to_list()

    @cached_property
    def notes(self) -> list[str]:
        """The warnings about the protocol, and the experiments that normalise by speaker."""
        return note_lines(self.scores["notes"])


def column_maximum(table: pl.DataFrame, column: str) -> int:
    """Return the maximum of a column of integers.

    Parameters
    ----------
    table : DataFrame
        The table.
    column : str
        Name of the column.

    Returns
    -------
    int
        The maximum.
    """
    return max(int(value) for value in table[column])


def read_study(
    paths: Iterable[Path], checks: Path, settings: Mapping[str, Any] | None = None
) -> Study:
    """Read the tables and the protocol's checks.

    Parameters
    ----------
    paths : iterable of Path
        Parquet files; the name of a table is its file name without the extension.
    checks : Path
        The file `protocol/checks.json`.
    settings : mapping or None
        Sections of the configuration that the report shows.

    Returns
    -------
    Study
        The study.

    Raises
    ------
    StoreError
        If a file cannot be read, or if the table of scores is missing or empty.
    """
    tables = {path.stem: read_study_table(path) for path in paths}
    if "scores" not in tables or tables["scores"].dataframe.is_empty():
        raise StoreError("a report needs a table of scores with rows: run make_tables first")
    try:
        content = json.loads(checks.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StoreError(f"{checks} does not exist; run check_protocol first") from None
    except ValueError as error:
        raise StoreError(
            f"{checks}: is not JSON ({error_summary(error)}); remove it and run again"
        ) from None
    return Study(tables, content, settings or {})


def read_study_table(path: Path) -> StudyTable:
    """Read a table with the descriptions of its columns.

    Parameters
    ----------
    path : Path
        The Parquet file.

    Returns
    -------
    StudyTable
        The table.

    Raises
    ------
    StoreError
        If the file cannot be read.
    """
    arrow = read_arrow(path)
    meanings = {
        field.name: (field.metadata or {}).get(b"meaning", b"").decode() for field in arrow.schema
    }
    dataframe = pl.from_arrow(arrow)
    assert isinstance(dataframe, pl.DataFrame)
    return StudyTable(path.stem, dataframe, meanings, read_metadata(path))
