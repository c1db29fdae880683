"""Tables that users write: text with fields between commas, semicolons or tabs."""

from __future__ import annotations

import csv
import io
import re
from dataclasses import dataclass
from pathlib import Path

from emoscale.runtime.errors import CorpusError

_DELIMITERS = ",;\t"
_QUOTED = re.compile(r'"[^"]*"')


@dataclass(frozen=True)
class TextTable:
    """A table, whose fields have no spaces at both ends."""

    header: list[str]
    """Names of the columns."""

    rows: list[tuple[int, list[str]]]
    """Number of the line that a row ends in, and its fields; rows without any field are left out.
    A row may have more or less fields than the header."""


def read_table(path: Path, remedy: str) -> TextTable:
    """Read a table.

    Parameters
    ----------
    path : Path
        The file, UTF-8.
    remedy : str
        What to do about a file that cannot be opened, for error messages.

    Returns
    -------
    TextTable
        The table.

    Raises
    ------
    CorpusError
        If the file cannot be read, or a quote is not closed or doubled.
    """
    return parse_table(read_text(path, remedy), path)


def read_text(path: Path, remedy: str) -> str:
    """Read a text file.

    Parameters
    ----------
    path : Path
        The file, UTF-8.
    remedy : str
        What to do about a file that cannot be opened, for error messages.

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
    except (FileNotFoundError, NotADirectoryError):
        raise CorpusError(f"{path} does not exist; {remedy}") from None
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: byte {error.start} is not UTF-8; save it as UTF-8") from None
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror}; {remedy}") from None


def parse_table(text: str, path: Path, delimiter: str | None = None) -> TextTable:
    r"""Parse a table.

    Parameters
    ----------
    text : str
        The table. A field in double quotes may contain the delimiter, line breaks and, doubled,
        quotes.
    path : Path
        Its file, for error messages.
    delimiter : str or None
        Character between the fields; None: of comma, semicolon and tab, the one that the first line
        has most of.

    Returns
    -------
    TextTable
        The table.

    Raises
    ------
    CorpusError
        If a quote is not closed or doubled, or a field has more than 131,072 characters.

    Examples
    --------
    >>> parse_table("file;emotion\na.wav;sad\n", Path("labels.csv")).rows
    [(2, ['a.wav', 'sad'])]
    """
    if delimiter is None:
        first = _QUOTED.sub("", text.partition("\n")[0])
        delimiter = max(_DELIMITERS, key=first.count)
    # strict: otherwise a stray quote would include all rows up to the next quote
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [field.strip() for field in next(rows, [])]
        stripped = ((rows.line_num, [field.strip() for field in row]) for row in rows)
        return TextTable(header, [(line, fields) for line, fields in stripped if any(fields)])
    except csv.Error as error:
        raise CorpusError(
            f"{path}, line {rows.line_num}: {error}; look for a quote that is not closed, or not "
            "doubled within a field"
        ) from None
