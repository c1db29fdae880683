"""Reader for any folder of recordings with a metadata table (CSV or TSV)."""

from __future__ import annotations

import csv
import io
import unicodedata
from pathlib import Path, PurePosixPath
from typing import Any

from emoscale.config.corpus import CsvCorpus
from emoscale.corpus.readers import CorpusManifest, Utterance, external_link_target
from emoscale.runtime.errors import CorpusError

REQUIRED_COLUMNS = ("file", "speaker", "emotion")
OPTIONAL_COLUMNS = ("utterance", "session", "sex", "style", "dialog", "transcript", "start", "end")

_SEXES = {"f": "F", "female": "F", "w": "F", "m": "M", "male": "M", "": None}
_STYLES = {"improvised": "improvised", "scripted": "scripted", "": None}


class _RowError(Exception):
    """A row cannot be used; `reason` is the short code of the rejected table."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def read(settings: CsvCorpus) -> CorpusManifest:
    """Read the metadata table.

    Parameters
    ----------
    settings : CsvCorpus
        Root, table and column names.

    Returns
    -------
    CorpusManifest
        One utterance per valid row; the other rows are rejected.

    Raises
    ------
    CorpusError
        If the table or a required column is missing, or no row is valid.
    """
    root = Path(settings.root)
    table = root / settings.table
    manifest = CorpusManifest("csv")
    target = external_link_target(table, root)
    if target is not None:
        raise CorpusError(
            f"{table} is a link to {target}, outside the corpus; if that is intended, set "
            "corpus.table to it"
        )
    try:
        text = table.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        raise CorpusError(
            f"{table} does not exist: expected a table with the columns "
            f"{', '.join(REQUIRED_COLUMNS)}; set corpus.root and corpus.table"
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
        _read_rows(rows, settings, table, manifest)
    except csv.Error as error:
        raise CorpusError(
            f"{table}, line {rows.line_num}: {error}; look for a quote that is not closed"
        ) from None
    _check_speaker_names(manifest, table)
    if not manifest.utterances:
        raise CorpusError(
            f"{table}: no row can be used; the first reason: {_first_reason(manifest)}"
        )
    return manifest


def _read_rows(rows: Any, settings: CsvCorpus, table: Path, manifest: CorpusManifest) -> None:
    header: list[str] = next(rows, [])
    columns = _column_positions(header, settings, table)
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
                    "put quotes around a field that contains a comma",
                )
            manifest.add(_utterance(row, settings), settings.table, location)
        except _RowError as error:
            manifest.reject(
                settings.table,
                error.reason,
                str(error),
                utterance=row.get("utterance") or row["file"] or None,
                location=location,
            )


def _column_positions(header: list[str], settings: CsvCorpus, table: Path) -> dict[str, int]:
    """Position of each column, by its name in this library."""
    unknown = sorted(set(settings.columns) - {*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS})
    if unknown:
        raise CorpusError(
            f"corpus.columns names {unknown[0]}, which is not one of "
            f"{', '.join(REQUIRED_COLUMNS + OPTIONAL_COLUMNS)}"
        )
    positions = {name.strip(): number for number, name in enumerate(header)}
    columns: dict[str, int] = {}
    for name in (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS):
        name_in_table = settings.columns.get(name, name)
        if [cell.strip() for cell in header].count(name_in_table) > 1:
            raise CorpusError(f"{table} has two columns {name_in_table}; rename one")
        if name_in_table in positions:
            columns[name] = positions[name_in_table]
        elif name in REQUIRED_COLUMNS or name in settings.columns:
            raise CorpusError(
                f"{table} has no column {name_in_table} (actual columns: "
                f"{', '.join(positions) or 'none'}); name it under corpus.columns"
            )
    return columns


def _utterance(row: dict[str, str], settings: CsvCorpus) -> Utterance:
    for name in REQUIRED_COLUMNS:
        if not row[name]:
            raise _RowError("empty field", f"the row has no {name}")
    path = PurePosixPath(row["file"].replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.name:
        raise _RowError("outside the corpus", f"{row['file']} is not within the corpus root")
    if settings.emotions is not None and row["emotion"] not in settings.emotions:
        raise _RowError(
            "unknown label",
            f"the label {row['emotion']} is not one of {', '.join(settings.emotions)}",
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
            f"{name} is {row[name]}; use one of {', '.join(value for value in known if value)}",
        )
    return known[text]


def _check_speaker_names(manifest: CorpusManifest, table: Path) -> None:
    """Check that no speaker has two Unicode spellings: they would be in training and in test."""
    spelling_of: dict[str, str] = {}
    for utterance in manifest.utterances:
        name = unicodedata.normalize("NFC", utterance.speaker)
        spelling = spelling_of.setdefault(name, utterance.speaker)
        if spelling != utterance.speaker:
            raise CorpusError(
                f"{table}: the speaker {name} has two spellings that look the same (accented "
                "letters as one character, and as two); use one spelling (Unicode NFC)"
            )


def _first_reason(manifest: CorpusManifest) -> str:
    if not manifest.rejected:
        return "the table has no rows"
    return f"{manifest.rejected[0].location}: {manifest.rejected[0].detail}"
