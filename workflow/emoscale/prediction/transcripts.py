"""What is said in recordings: from a table, or from a text file beside each."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from emoscale.prediction.recordings import real_path
from emoscale.runtime.errors import CorpusError

_COLUMNS = ("file", "transcript")


class Transcripts:
    """Finds the transcript of a recording.

    With a `table` (CSV, or TSV by its ending; columns file and transcript) it is that of the row
    whose `file` is the recording, relative to the current folder or else to the table's. Without
    one it is the text beside the recording, of its name with the ending .txt. An empty transcript
    says that nothing is said. Raises `CorpusError` where the table is none.
    """

    def __init__(self, table: Path | None = None) -> None:
        self._table = table
        self._from_here: dict[Path, str] = {}
        self._from_table: dict[Path, str] = {}
        if table is not None:
            self._read(table)

    def of(self, file: Path) -> str:
        """The transcript of `file`; raises `CorpusError` where there is none."""
        if self._table is not None:
            path = real_path(file)
            found = self._from_here.get(path, self._from_table.get(path))
            if found is None:
                raise CorpusError(
                    f"{file}: has no transcript, which the model reads; add a row for it to "
                    f"{self._table}"
                )
            return found
        beside = file.with_suffix(".txt")
        if not beside.is_file():
            raise CorpusError(
                f"{file}: has no transcript, which the model reads; write it to {beside}, or name "
                "a table with --transcripts"
            )
        lines = _text_of(beside).splitlines()
        return " ".join(line.strip() for line in lines if line.strip())

    def _read(self, table: Path) -> None:
        delimiter = "\t" if table.suffix.lower() == ".tsv" else ","
        # strict: one stray quote would otherwise swallow all rows up to the next one
        rows = csv.reader(
            io.StringIO(_text_of(table), newline=""), delimiter=delimiter, strict=True
        )
        try:
            header = [cell.strip() for cell in next(rows, [])]
            for name in _COLUMNS:
                if header.count(name) != 1:
                    raise CorpusError(
                        f"{table}: needs one column {name} (there: {', '.join(header) or 'none'})"
                    )
            for cells in rows:
                if any(cell.strip() for cell in cells):
                    self._add(table, f"line {rows.line_num}", header, cells)
        except csv.Error as error:
            raise CorpusError(
                f"{table}, line {rows.line_num}: {error}; look for a quote that is not closed"
            ) from None

    def _add(self, table: Path, place: str, header: list[str], cells: list[str]) -> None:
        if len(cells) != len(header):
            raise CorpusError(
                f"{table}, {place}: has {len(cells)} fields and the header {len(header)}; put "
                "quotes around a field that holds the delimiter"
            )
        name, transcript = (cells[header.index(column)].strip() for column in _COLUMNS)
        here = real_path(Path(name))
        if self._from_here.setdefault(here, transcript) != transcript:
            raise CorpusError(f"{table}, {place}: {name} has another transcript above; keep one")
        self._from_table[real_path(table.parent / name)] = transcript


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8"
        ) from None
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror}") from None
