"""A column of a table of new recordings, such as their transcripts or speakers."""

from __future__ import annotations

from pathlib import Path

from emoscale.prediction.recordings import resolved_path
from emoscale.runtime.errors import CorpusError
from emoscale.runtime.text_table import parse_table


class RecordingTable:
    """Values of one column of a table, by recording.

    The paths in its column `file` are relative to the current folder or else to the folder of the
    table.

    Parameters
    ----------
    path : Path
        Table with the column file.
    column : str
        Name of the column with the values.

    Raises
    ------
    UserError
        If the table cannot be read.
    """

    def __init__(self, path: Path, column: str) -> None:
        self.path = path
        self._columns = ("file", column)
        self._relative_to_current: dict[Path, str] = {}
        self._relative_to_table: dict[Path, str] = {}
        self._read(path)

    def find(self, file: Path) -> str | None:
        """Return the value of a recording.

        Parameters
        ----------
        file : Path
            The recording.

        Returns
        -------
        str or None
            The value; None if the table has no row for the recording.
        """
        path = resolved_path(file)
        return self._relative_to_current.get(path, self._relative_to_table.get(path))

    def _read(self, table: Path) -> None:
        parsed = parse_table(read_text(table), table)
        for name in self._columns:
            if parsed.header.count(name) != 1:
                raise CorpusError(
                    f"{table}: needs one column {name} (its columns: "
                    f"{', '.join(parsed.header) or 'none'})"
                )
        for line, fields in parsed.rows:
            self._add(table, f"line {line}", parsed.header, fields)

    def _add(self, table: Path, position: str, header: list[str], fields: list[str]) -> None:
        if len(fields) != len(header):
            raise CorpusError(
                f"{table}, {position}: has {len(fields)} fields and the header {len(header)}; put "
                "quotes around a field that contains the delimiter"
            )
        name, value = (fields[header.index(column)] for column in self._columns)
        path = resolved_path(Path(name))
        if self._relative_to_current.setdefault(path, value) != value:
            raise CorpusError(
                f"{table}, {position}: {name} has another {self._columns[1]} above; remove one of "
                "them"
            )
        self._relative_to_table[resolved_path(table.parent / name)] = value


def read_text(path: Path) -> str:
    """Read a text file.

    Parameters
    ----------
    path : Path
        The file, UTF-8.

    Returns
    -------
    str
        Its content.

    Raises
    ------
    CorpusError
        If the file cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8"
        ) from None
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror}") from None
