"""Any folder of recordings with a table of file, speaker and emotion (CSV or TSV)."""

from __future__ import annotations

import csv
import io
import unicodedata
from pathlib import Path, PurePosixPath
from typing import Any

from emoscale.config.corpus import CsvCorpus
from emoscale.corpus.reading import Reading, Utterance, target_outside
from emoscale.runtime.errors import CorpusError

REQUIRED = ("file", "speaker", "emotion")
OPTIONAL = ("utterance", "session", "sex", "style", "dialog", "transcript", "start", "end")

_SEXES = {"f": "F", "female": "F", "w": "F", "m": "M", "male": "M", "": None}
_STYLES = {"improvised": "improvised", "scripted": "scripted", "": None}


class _RowError(Exception):
    """A row cannot be used: short reason and sentence."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def read(settings: CsvCorpus) -> Reading:
    """Every row of the table; raises `CorpusError` where it or a needed column is missing."""
    root = Path(settings.root)
    table = root / settings.table
    reading = Reading("csv")
    target = target_outside(table, root)
    if target is not None:
        raise CorpusError(
            f"{table} is a link to {target}, outside the corpus; where that is right, set "
            "corpus.table to it"
        )
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        raise CorpusError(
            f"{table} does not exist: looked for a table with the columns {', '.join(REQUIRED)}; "
            "set corpus.root and corpus.table"
        ) from None
    except UnicodeDecodeError as error:
        raise CorpusError(
            f"{table}: byte {error.start} is not UTF-8; save the table as UTF-8"
        ) from None
    except OSError as error:
        raise CorpusError(f"{table} cannot be read: {error.strerror}; set corpus.table") from None
    delimiter = "\t" if table.suffix.lower() == ".tsv" else ","
    # strict: one stray quote would otherwise swallow all rows up to the next one
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        _read_rows(rows, settings, table, reading)
    except csv.Error as error:
        raise CorpusError(
            f"{table}, line {rows.line_num}: {error}; look for a quote that is not closed"
        ) from None
    _check_speakers(reading, table)
    if not reading.utterances:
        raise CorpusError(f"{table}: no row can be used; the first reason: {_first(reading)}")
    return reading


def _read_rows(rows: Any, settings: CsvCorpus, table: Path, reading: Reading) -> None:
    header: list[str] = next(rows, [])
    columns = _columns(header, settings, table)
    for cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        location = f"line {rows.line_num}"
        row = {
            name: cells[position].strip() if position < len(cells) else ""
            for name, position in columns.items()
        }
        try:
            if any(cell.strip() for cell in cells[len(header) :]):
                raise _RowError(
                    "too many fields",
                    f"the row has {len(cells)} fields and the header {len(header)}; "
                    "put quotes around a field that holds a comma",
                )
            reading.add(_utterance(row, settings), settings.table, location)
        except _RowError as error:
            reading.reject(
                settings.table,
                error.reason,
                str(error),
                utterance=row.get("utterance") or row["file"] or None,
                location=location,
            )


def _columns(header: list[str], settings: CsvCorpus, table: Path) -> dict[str, int]:
    """Position of each column that is known, under our name for it."""
    unknown = sorted(set(settings.columns) - {*REQUIRED, *OPTIONAL})
    if unknown:
        raise CorpusError(
            f"corpus.columns names {unknown[0]}, which is none of {', '.join(REQUIRED + OPTIONAL)}"
        )
    positions = {name.strip(): number for number, name in enumerate(header)}
    columns: dict[str, int] = {}
    for name in (*REQUIRED, *OPTIONAL):
        theirs = settings.columns.get(name, name)
        if [cell.strip() for cell in header].count(theirs) > 1:
            raise CorpusError(f"{table} has two columns {theirs}; rename one")
        if theirs in positions:
            columns[name] = positions[theirs]
        elif name in REQUIRED or name in settings.columns:
            raise CorpusError(
                f"{table} has no column {theirs} (there: {', '.join(positions) or 'none'}); "
                "name it under corpus.columns"
            )
    return columns


def _utterance(row: dict[str, str], settings: CsvCorpus) -> Utterance:
    for name in REQUIRED:
        if not row[name]:
            raise _RowError("empty field", f"the row has no {name}")
    path = PurePosixPath(row["file"].replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise _RowError("outside the corpus", f"{row['file']} is not within the corpus root")
    if settings.emotions is not None and row["emotion"] not in settings.emotions:
        raise _RowError(
            "unknown label",
            f"the label {row['emotion']} is none of {', '.join(settings.emotions)}",
        )
    start, end = _seconds(row, "start"), _seconds(row, "end")
    key = str(path.with_suffix(""))
    if start is not None or end is not None:
        key += f"#{row.get('start', '')}-{row.get('end', '')}"
    return Utterance(
        utterance=row.get("utterance") or key,
        audio=str(path),
        start=start,
        end=end,
        speaker=row["speaker"],
        emotion=row["emotion"],
        sex=_one_of(row, "sex", _SEXES),
        session=row.get("session") or None,
        dialog=row.get("dialog") or None,
        style=_one_of(row, "style", _STYLES),
        transcript=row.get("transcript") or None,
    )


def _seconds(row: dict[str, str], name: str) -> float | None:
    text = row.get(name, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0.0 <= value < 1e7:
        raise _RowError("field not understood", f"{name} is {text}, not a time in seconds")
    return value


def _one_of(row: dict[str, str], name: str, known: dict[str, str | None]) -> str | None:
    text = row.get(name, "").lower()
    if text not in known:
        raise _RowError(
            "field not understood",
            f"{name} is {row[name]}; write one of {', '.join(word for word in known if word)}",
        )
    return known[text]


def _check_speakers(reading: Reading, table: Path) -> None:
    """One speaker under two names would be trained on and tested."""
    written: dict[str, str] = {}
    for utterance in reading.utterances:
        name = unicodedata.normalize("NFC", utterance.speaker)
        other = written.setdefault(name, utterance.speaker)
        if other != utterance.speaker:
            raise CorpusError(
                f"{table}: the speaker {name} is written in two ways that look the same (letters "
                "and accents as one character, and as two); write the name in one way (Unicode "
                "NFC)"
            )


def _first(reading: Reading) -> str:
    if not reading.rejected:
        return "the table has no rows"
    return f"{reading.rejected[0].location}: {reading.rejected[0].detail}"
