"""A column of a table of new recordings, such as their transcripts or speakers."""

from __future__ import annotations

from pathlib import Path

from emoscale.prediction.recordings import resolved_path
from emoscale.runtime.errors import CorpusError
from emoscale.runtime.text_table import read_table


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
    CorpusError
        If the table cannot be read.
    """

    def __init__(self, path: Path, column: str) -> None:
        self.path = path
        self._columns = ("file", column)
        self._relative_to_current: dict[Path, str] = {}
        self._relative_to_table: dict[Path, str] = {}
        table = read_table(path, "name another file")
        for name in self._columns:
            if table.header.count(name) != 1:
                raise CorpusError(
                    f"{path}: needs one column {name} (its columns: "
                    f"{', '.join(table.header) or 'none'})"
                )
        for line, fields in table.rows:
            self._add(f"line {line}", table.header, fields)

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

    def _add(self, position: str, header: list[str], fields: list[str]) -> None:
        if len(fields) != len(header):
            raise CorpusError(
                f"{self.path}, {position}: has {len(fields)} fields and the header {len(header)}; "
                "put quotes around a field that contains the delimiter"
            )
        name, value = (fields[header.index(column)] for column in self._columns)
        path = resolved_path(Path(name))
        if self._relative_to_current.setdefault(path, value) != value:
            raise CorpusError(
                f"{self.path}, {position}: {name} has another {self._columns[1]} above; remove one "
                "of them"
            )
        self._relative_to_table[resolved_path(self.path.parent / name)] = value
