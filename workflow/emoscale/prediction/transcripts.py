"""Transcripts of new recordings, from a table or from a text file next to each recording."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from emoscale.prediction.recordings import resolved_path
from emoscale.runtime.errors import CorpusError

_COLUMNS = ("file", "transcript")


class Transcripts:
    """Source of the transcripts of recordings.

    With a table, the paths in its column `file` are relative to the current folder or else to the
    folder of the table. Without one, the transcript of a recording is the text file with its name
    and the suffix .txt. An empty transcript means that no words are spoken.

    Parameters
    ----------
    table : Path or None
        CSV file (TSV if its suffix is .tsv) with the columns file and transcript.

    Raises
    ------
    CorpusError
        If the table cannot be read.
    """

    def __init__(self, table: Path | None = None) -> None:
        self._table = table
        self._relative_to_current: dict[Path, str] = {}
        self._relative_to_table: dict[Path, str] = {}
        if table is not None:
            self._read(table)

    def find(self, file: Path) -> str:
        """Return the transcript of a recording.

        Parameters
        ----------
        file : Path
            The recording.

        Returns
        -------
        str
            The transcript.

        Raises
        ------
        CorpusError
            If the recording has no transcript.
        """
        if self._table is not None:
            path = resolved_path(file)
            transcript = self._relative_to_current.get(path, self._relative_to_table.get(path))
            if transcript is None:
                raise CorpusError(
                    f"{file}: has no transcript, which the model needs; add a row for it to "
                    f"{self._table}"
                )
            return transcript
        text_file = file.with_suffix(".txt")
        if not text_file.is_file():
            raise CorpusError(
                f"{file}: has no transcript, which the model needs; write it to {text_file}, or "
                "name a table with --transcripts"
            )
        lines = _read_text(text_file).splitlines()
        return " ".join(line.strip() for line in lines if line.strip())

    def _read(self, table: Path) -> None:
        delimiter = "\t" if table.suffix.lower() == ".tsv" else ","
        # strict: otherwise a stray quote would include all rows up to the next quote
        rows = csv.reader(
            io.StringIO(_read_text(table), newline=""), delimiter=delimiter, strict=True
        )
        try:
            header = [field.strip() for field in next(rows, [])]
            for name in _COLUMNS:
                if header.count(name) != 1:
                    raise CorpusError(
                        f"{table}: needs one column {name} (its columns: "
                        f"{', '.join(header) or 'none'})"
                    )
            for fields in rows:
                if any(field.strip() for field in fields):
                    self._add(table, f"line {rows.line_num}", header, fields)
        except csv.Error as error:
            raise CorpusError(
                f"{table}, line {rows.line_num}: {error}; look for a quote that is not closed"
            ) from None

    def _add(self, table: Path, position: str, header: list[str], fields: list[str]) -> None:
        if len(fields) != len(header):
            raise CorpusError(
                f"{table}, {position}: has {len(fields)} fields and the header {len(header)}; put "
                "quotes around a field that contains the delimiter"
            )
        name, transcript = (fields[header.index(column)].strip() for column in _COLUMNS)
        path = resolved_path(Path(name))
        if self._relative_to_current.setdefault(path, transcript) != transcript:
            raise CorpusError(
                f"{table}, {position}: {name} has another transcript above; remove one of them"
            )
        self._relative_to_table[resolved_path(table.parent / name)] = transcript


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8"
        ) from None
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror}") from None
