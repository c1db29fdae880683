"""Rows of metadata tables, each with the text of every column, and the utterances they describe."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from emoscale.corpus.readers import CorpusManifest, Utterance
from emoscale.corpus.release import SEXES, Unusable
from emoscale.runtime.errors import CorpusError

REQUIRED_COLUMNS = ("file", "speaker", "emotion")
"""Columns that every row has."""

OPTIONAL_COLUMNS = (
    *("utterance", "session", "sex", "style", "dialog", "transcript", "start", "end"),
    *("split", "acted", "intensity", "language", "age"),
)
"""Columns that a row may lack."""

_SEXES = {**SEXES, "w": "F", "": None}
_STYLES = {"improvised": "improvised", "scripted": "scripted", "": None}
_SPLITS = {
    "training": "train",
    **dict.fromkeys(("development", "validation", "valid", "val"), "dev"),
}


def utterance_of(row: Mapping[str, str], emotions: Sequence[str] | None = None) -> Utterance:
    """Return the utterance that a row describes.

    Parameters
    ----------
    row : mapping of str to str
        Text by column, without spaces at both ends; of a column that the table lacks, nothing.
    emotions : sequence of str or None
        All labels of the corpus; None: any.

    Returns
    -------
    Utterance
        The utterance; its default key is the file's path without suffix, with start and end.

    Raises
    ------
    Unusable
        If a required field is empty, or a field is not understood.

    Examples
    --------
    >>> row = {"file": "a/one.wav", "speaker": "anna", "emotion": "joy", "split": "Validation"}
    >>> utterance_of(row).utterance, utterance_of(row).split
    ('a/one', 'dev')
    """
    for name in REQUIRED_COLUMNS:
        if not row.get(name):
            raise Unusable("empty field", f"the row has no {name}")
    path = PurePosixPath(row["file"].replace("\\", "/"))
    if path.is_absolute():
        raise Unusable(
            "outside the corpus", f"{row['file']} is absolute; write it relative to the corpus root"
        )
    if ".." in path.parts or not path.name:
        raise Unusable("outside the corpus", f"{row['file']} is not within the corpus root")
    if emotions is not None and row["emotion"] not in emotions:
        raise Unusable(
            "unknown label", f"the label {row['emotion']} is not one of {', '.join(emotions)}"
        )
    start = _number(row, "start", 1e7, "a time in seconds")
    end = _number(row, "end", 1e7, "a time in seconds")
    key = str(path.with_suffix(""))
    if start is not None or end is not None:
        key += f"#{row.get('start', '')}-{row.get('end', '')}"
    split = row.get("split", "").lower()
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
        split=_SPLITS.get(split, split) or None,
        acted=row.get("acted") or None,
        intensity=row.get("intensity") or None,
        language=row.get("language") or None,
        age=_number(row, "age", 150, "an age in years"),
    )


def check_column_names(columns: Iterable[str], known: Sequence[str]) -> None:
    """Check that `corpus.columns` names only columns that the reader uses.

    Parameters
    ----------
    columns : iterable of str
        Keys of `corpus.columns`.
    known : sequence of str
        Columns of the reader.

    Raises
    ------
    CorpusError
        If another one is named.
    """
    unknown = sorted({*columns} - {*known})
    if unknown:
        raise CorpusError(
            f"corpus.columns names {unknown[0]}, which is not one of {', '.join(known)}"
        )


def check_manifest(manifest: CorpusManifest, table: str) -> None:
    """Check that a table has usable rows, and one spelling of each speaker.

    Parameters
    ----------
    manifest : CorpusManifest
        Utterances and rejected rows of the table.
    table : str
        The table, for error messages.

    Raises
    ------
    CorpusError
        If no row is usable, or a speaker has two Unicode spellings and so would be in training and
        in test.
    """
    spelling_of: dict[str, str] = {}
    for utterance in manifest.utterances:
        name = unicodedata.normalize("NFC", utterance.speaker)
        spelling = spelling_of.setdefault(name, utterance.speaker)
        if spelling != utterance.speaker:
            raise CorpusError(
                f"{table}: the speaker {name} has two spellings that look the same (accented "
                "letters as one character, and as two); use one spelling (Unicode NFC)"
            )
    if not manifest.utterances:
        raise CorpusError(
            f"{table}: no row can be used; the first reason: {_first_reason(manifest)}"
        )


def _first_reason(manifest: CorpusManifest) -> str:
    if not manifest.rejected:
        return "the table has no rows"
    first = manifest.rejected[0]
    return f"{first.location or first.utterance}: {first.detail}"


def _number(row: Mapping[str, str], name: str, limit: float, meaning: str) -> float | None:
    text = row.get(name, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0.0 <= value < limit:
        raise Unusable("field not understood", f"{name} is {text}, not {meaning}")
    return value


def _one_of(row: Mapping[str, str], name: str, known: Mapping[str, str | None]) -> str | None:
    text = row.get(name, "").lower()
    if text not in known:
        raise Unusable(
            "field not understood",
            f"{name} is {row[name]}; use one of {', '.join(value for value in known if value)}",
        )
    return known[text]
