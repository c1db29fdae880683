"""Tables in a folder of recordings, and the rows that describe each recording."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from emoscale.audio.decoding import SUFFIXES
from emoscale.corpus.files import corpus_files
from emoscale.corpus.readers import CorpusManifest, external_link_target
from emoscale.runtime.errors import CorpusError
from emoscale.runtime.text_table import read_table

UTTERANCES = "utterances.csv"
"""The table that describes a corpus."""

FILE_COLUMN = re.compile(r"(audio|wav)?[ _-]?(file|path)[ _-]?(name|path)?", re.IGNORECASE)
"""Names of a column with the paths of recordings."""

Row = dict[str, str]
"""Fields by column."""

Parts = tuple[str, ...]
"""Folders and name of a path."""

Item = TypeVar("Item")

_MIN_SHARE = 0.6  # of the recordings that a table describes


@dataclass(frozen=True, eq=False)
class Table:
    """A table in a folder of recordings; tables with the same columns are one."""

    files: tuple[str, ...]
    """Its files, relative to the folder."""

    rows: tuple[tuple[str, Row], ...]
    """Folder of the file that a row is in, relative to the folder, and the row."""

    @property
    def columns(self) -> list[str]:
        """Names of the columns."""
        return list(self.rows[0][1])

    def __str__(self) -> str:
        others = f" and {len(self.files) - 1:,} like it" if len(self.files) > 1 else ""
        return f"{self.files[0]}{others}"

    def rows_of(self, files: Sequence[str]) -> dict[str, list[Row]]:
        """Return the rows of each recording.

        Parameters
        ----------
        files : sequence of str
            Paths of the recordings, relative to the folder.

        Returns
        -------
        dict
            Rows by recording, from the column whose values are the paths of most recordings, or the
            ends of these paths; empty if no column has the paths of most recordings.
        """
        enough = _MIN_SHARE * len(files)
        if len(self.rows) < enough:
            return {}
        recordings = [(_parts(file), file) for file in files]
        names = {_stem(parts[-1]) for parts, _ in recordings}
        best: dict[str, list[Row]] = {}
        best_rank = (False, False, 0)
        for column in self.columns:
            paths = [(_parts(f"{folder}/{row[column]}"), row) for folder, row in self.rows]
            named = [(parts, row) for parts, row in paths if parts and _stem(parts[-1]) in names]
            if len(named) < enough:
                continue
            rows_of = _rows_by_path(named, recordings, enough)
            like_paths = sum("/" in row[column] or "." in row[column] for _, row in named)
            is_named = FILE_COLUMN.fullmatch(column) is not None
            rank = (is_named, like_paths > len(named) / 2, len(rows_of))
            if rows_of and rank > best_rank:  # a row's number may be the name of another recording
                best, best_rank = rows_of, rank
        return best


def _rows_by_path(
    rows: Sequence[tuple[Parts, Row]], recordings: Sequence[tuple[Parts, str]], enough: float
) -> dict[str, list[Row]]:
    """Rows of each recording, by the longest end of the path that names enough recordings."""
    for has_suffix in (True, False):
        for length in range(max(len(parts) for parts, _ in recordings), 0, -1):
            rows_by_end = _by_end(rows, length, has_suffix)
            rows_of = {
                file: [row for _, row in rows_by_end[end]]
                for end, [(_, file), *others] in _by_end(recordings, length, has_suffix).items()
                if not others and len({parts for parts, _ in rows_by_end.get(end, [])}) == 1
            }
            if len(rows_of) >= enough:
                return rows_of
    return {}


def _by_end(
    items: Sequence[tuple[Parts, Item]], length: int, has_suffix: bool
) -> dict[Parts, list[tuple[Parts, Item]]]:
    """Items with their paths, by the last parts of the path."""
    by_end: dict[Parts, list[tuple[Parts, Item]]] = defaultdict(list)
    for parts, item in items:
        name = parts[-1] if has_suffix else _stem(parts[-1])
        by_end[(*parts[-length:-1], name)].append((parts, item))
    return by_end


def _parts(path: str) -> Parts:
    normal = unicodedata.normalize("NFC", path.replace("\\", "/"))
    return tuple(part for part in normal.split("/") if part not in ("", ".", ".."))


def _stem(name: str) -> str:
    """Name without suffix; digits after a dot are none."""
    stem, _, suffix = name.rpartition(".")
    return stem if stem and suffix.isalnum() and not suffix.isdigit() else name


def read_tables(root: Path) -> tuple[list[Table], list[str]]:
    """Read the tables in a folder and its subfolders.

    Parameters
    ----------
    root : Path
        The folder.

    Returns
    -------
    tables : list of Table
        Files .csv, .tsv and .txt with two columns or more; utterances.csv in the folder itself is
        the first.
    unread : list of str
        Tables that cannot be read, with the reason.

    Raises
    ------
    CorpusError
        If utterances.csv or a subfolder cannot be read.
    """
    names = sorted(
        corpus_files(root, CorpusManifest("csv"), (".csv", ".tsv", ".txt")),
        key=lambda name: (name != UTTERANCES, name.endswith(".txt"), name.count("/"), name),
    )
    tables: dict[tuple[str, ...], list[tuple[str, list[Row]]]] = defaultdict(list)
    unread: list[str] = []
    no_tables: list[str] = []
    for name in names:
        try:
            rows = _read(root, name)
        except CorpusError as error:
            if name == UTTERANCES:
                raise
            problem = str(error).removeprefix(f"{root}/")
            (no_tables if name.lower().endswith(".txt") else unread).append(problem)
        else:
            kind = (name,) if name == UTTERANCES else ("", *rows[0])
            tables[kind].append((name, rows))
    if no_tables:  # most files .txt are none
        unread.append(f"files .txt not read as tables: {len(no_tables):,} (first: {no_tables[0]})")
    return [_joined(parts) for parts in tables.values()], unread


def _joined(parts: Sequence[tuple[str, list[Row]]]) -> Table:
    rows = tuple((str(PurePosixPath(name).parent), row) for name, rows in parts for row in rows)
    return Table(tuple(name for name, _ in parts), rows)


def _read(root: Path, name: str) -> list[Row]:
    """Rows of a table."""
    path = root / name
    target = external_link_target(path, root)
    if target is not None:
        raise CorpusError(f"{path} is a link to {target}, outside the folder; copy it")
    table = read_table(path, "copy it again")
    columns = [column for column in table.header if column]
    if len(columns) < 2:
        raise CorpusError(
            f"{path} has less than two columns; separate them by commas, semicolons or tabs"
        )
    if any(Path(column).suffix.lower() in SUFFIXES for column in columns):
        raise CorpusError(f"{path} has no header; add a first line such as file,speaker,emotion")
    if len({*columns}) < len(columns):
        raise CorpusError(f"{path} has two columns of the same name; rename one")
    for line, fields in table.rows:
        if any(fields[len(table.header) :]):
            raise CorpusError(
                f"{path}, line {line}: has {len(fields)} fields and the header "
                f"{len(table.header)}; put quotes around a field that contains the delimiter"
            )
    if not table.rows:
        raise CorpusError(f"{path} has no row below its header")
    empty = [""] * len(table.header)
    return [
        {name: text for name, text in zip(table.header, [*fields, *empty], strict=False) if name}
        for _, fields in table.rows
    ]
