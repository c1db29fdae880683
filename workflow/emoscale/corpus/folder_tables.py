"""Tables in a folder of recordings, and the rows that describe each recording."""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TypeVar

from emoscale.audio.decoding import SUFFIXES
from emoscale.corpus.files import corpus_files
from emoscale.corpus.readers import CorpusManifest, external_link_target
from emoscale.runtime.errors import UserError
from emoscale.runtime.text_table import parse_table

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
        best: dict[str, list[Row]] = {}
        best_rank = (False, 0)
        for column in self.columns:
            rows_of = self._rows_by(column, files)
            named = [row[column] for rows in rows_of.values() for row in rows]
            like_paths = sum("/" in name or bool(_suffix(name)) for name in named)
            rank = (like_paths > len(named) / 2, len(rows_of))
            if rank > best_rank:  # a number of the row may be the name of another recording
                best, best_rank = rows_of, rank
        return best

    def _rows_by(self, column: str, files: Sequence[str]) -> dict[str, list[Row]]:
        """Rows of each recording by the longest ends of paths that name most recordings."""
        named = [
            (_parts(f"{folder}/{row[column]}"), row) for folder, row in self.rows if row[column]
        ]
        recordings = [(_parts(file), file) for file in files]
        for key in (_with_suffix, _without_suffix):
            for length in range(max(len(parts) for parts, _ in recordings), 0, -1):
                rows = _by_end(named, length, key)
                rows_of = {
                    recording: [row for _, row in rows[end]]
                    for end, [(_, recording), *others] in _by_end(recordings, length, key).items()
                    if not others and len({parts for parts, _ in rows.get(end, [])}) == 1
                }
                if len(rows_of) >= _MIN_SHARE * len(files):
                    return rows_of
        return {}


def _by_end(
    items: Sequence[tuple[Parts, Item]], length: int, key: Callable[[Parts], Parts]
) -> dict[Parts, list[tuple[Parts, Item]]]:
    """Items with their paths, by the last parts of the path."""
    by_end: dict[Parts, list[tuple[Parts, Item]]] = defaultdict(list)
    for parts, item in items:
        by_end[key(parts[-length:])].append((parts, item))
    return by_end


def _parts(path: str) -> Parts:
    normal = unicodedata.normalize("NFC", path.replace("\\", "/"))
    return tuple(part for part in normal.split("/") if part not in ("", ".", ".."))


def _suffix(name: str) -> str:
    """Suffix of a name; empty if it may be a number's decimals or the end of a sentence."""
    suffix = PurePosixPath(name).suffix
    return suffix if suffix[1:].isalnum() and not suffix[1:].isdigit() else ""


def _with_suffix(parts: Parts) -> Parts:
    return parts


def _without_suffix(parts: Parts) -> Parts:
    return (*parts[:-1], parts[-1].removesuffix(_suffix(parts[-1])))


def read_tables(root: Path) -> tuple[list[Table], list[str]]:
    """Read the tables in a folder and its subfolders.

    Parameters
    ----------
    root : Path
        The folder.

    Returns
    -------
    tables : list of Table
        Files .csv, .tsv and .txt with two columns or more.
    unread : list of str
        Tables that cannot be read, with the reason.

    Raises
    ------
    CorpusError
        If a subfolder cannot be read.
    """
    names = sorted(
        corpus_files(root, CorpusManifest("csv"), (".csv", ".tsv", ".txt")),
        key=lambda name: (name.lower().endswith(".txt"), name.count("/"), name),
    )
    tables: dict[tuple[str, ...], list[tuple[str, list[Row]]]] = defaultdict(list)
    unread: list[str] = []
    no_tables: list[str] = []
    for name in names:
        try:
            rows = _read(root, name)
        except UserError as error:
            (no_tables if name.lower().endswith(".txt") else unread).append(str(error))
            continue
        if rows:
            tables[tuple(rows[0])].append((name, rows))
    if no_tables:  # most files .txt are none
        unread.append(f"files .txt not read as tables: {len(no_tables):,} (first: {no_tables[0]})")
    return [_joined(parts) for parts in tables.values()], unread


def _joined(parts: Sequence[tuple[str, list[Row]]]) -> Table:
    rows = tuple((str(PurePosixPath(name).parent), row) for name, rows in parts for row in rows)
    return Table(tuple(name for name, _ in parts), rows)


def _read(root: Path, name: str) -> list[Row]:
    """Rows of a table; empty if the table has none."""
    path = root / name
    target = external_link_target(path, root)
    if target is not None:
        raise UserError(f"{name} is a link to {target}, outside the folder; copy it")
    try:
        table = parse_table(path.read_text(encoding="utf-8-sig"), Path(name))
    except UnicodeDecodeError:
        raise UserError(f"{name} is not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise UserError(f"{name} cannot be read: {error.strerror}") from None
    named = [(number, column) for number, column in enumerate(table.header) if column]
    if len(named) < 2:
        raise UserError(
            f"{name} has less than two columns; separate them by commas, semicolons or tabs"
        )
    if any(_suffix(column).lower() in SUFFIXES for _, column in named):
        raise UserError(f"{name} has no header; add a first line such as file,speaker,emotion")
    return [
        {column: fields[number] if number < len(fields) else "" for number, column in named}
        for _, fields in table.rows
    ]
