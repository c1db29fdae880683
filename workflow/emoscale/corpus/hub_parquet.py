"""Data sets of the Hugging Face hub in Parquet files, unpacked to recordings and a table.

The `datasets` library stores a recording as a struct of `bytes` and `path`, and a class label as an
integer, whose names are in the schema's metadata under `huggingface`.
"""

from __future__ import annotations

import csv
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from emoscale.audio.decoding import SUFFIXES
from emoscale.runtime.errors import CorpusError, error_summary
from emoscale.runtime.files import atomic_path, replacement_folder

TABLE = "utterances.csv"
"""Name of the table, which the csv reader expects."""

RECORDINGS = "unpacked"
"""Folder of the unpacked recordings."""

_ROWS = 64  # of a batch, so that few recordings are in memory
_MAGIC = {b"fLaC": ".flac", b"OggS": ".ogg", b"ID3": ".mp3", b"\xff\xfb": ".mp3"}
_SPLIT = re.compile(r"([^/]+?)(?:-\d+-of-\d+[^/]*|/\d+)\.parquet$")


@dataclass(frozen=True)
class Unpacked:
    """What was unpacked, for a message."""

    rows: int
    """Number of rows of the table."""

    recordings: int
    """Number of recordings that were in the Parquet files; the other rows name files."""

    columns: list[str]
    """Columns of the table."""

    omitted: list[str]
    """Columns whose values are not text, numbers or class labels, so that they are not in it."""


def unpack(folder: Path, audio: str | None = None) -> Unpacked:
    """Write the recordings and the metadata of all Parquet files in a folder and its subfolders.

    The metadata become the table `utterances.csv`, with class labels by name, and these columns:
    `file`, the recording relative to the folder, and `split`, the split that the Parquet file is
    named after. A column of the data set with one of these names is called `original_file` or
    `original_split`.

    Parameters
    ----------
    folder : Path
        The folder, which receives the recordings and the table.
    audio : str or None
        Column with the recordings, or with their paths relative to the Parquet file; None: the only
        column of recordings.

    Returns
    -------
    Unpacked
        Numbers of rows and recordings, and columns.

    Raises
    ------
    CorpusError
        If there are no Parquet files, one is damaged or has other columns than the others, there is
        no such column of recordings, or the folder has been unpacked already.
    """
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.parquet"))
    if not paths:
        raise CorpusError(f"{folder} has no Parquet files; name the folder of a data set")
    for name in (TABLE, RECORDINGS):
        if (folder / name).exists():
            raise CorpusError(
                f"{folder / name} exists; move or remove it to unpack the data set again"
            )
    files = {path: _open(folder / path) for path in paths}
    columns = _Columns(folder / paths[0], files[paths[0]].schema_arrow, audio)
    for path, file in files.items():
        schema, first = file.schema_arrow, files[paths[0]].schema_arrow
        if not schema.equals(first) or _features(schema) != _features(first):
            raise CorpusError(
                f"{folder / path} has other columns or class labels than {paths[0]}; name a folder "
                "with the files of one configuration of the data set"
            )
    count, recordings = 0, 0
    with (
        atomic_path(folder / TABLE) as table,
        replacement_folder(folder / RECORDINGS) as unpacked,
        table.open("w", encoding="utf-8", newline="") as text,
    ):
        writer = csv.DictWriter(text, ["file", "split", *columns.names.values()])
        writer.writeheader()
        for path, file in files.items():
            split = match[1] if (match := _SPLIT.search(path)) else ""
            for number, row in enumerate(_rows(file, folder / path, columns.needed)):
                name, content = columns.recording(row)
                if content is not None:
                    suffix = PurePosixPath(name).suffix
                    suffix = suffix if suffix.lower() in SUFFIXES else _suffix(content)
                    target = PurePosixPath(path).with_suffix("") / f"{number:06d}{suffix}"
                    (unpacked / target).parent.mkdir(parents=True, exist_ok=True)
                    (unpacked / target).write_bytes(content)
                    recordings += 1
                    name = str(PurePosixPath(RECORDINGS) / target)
                elif name:
                    name = str(PurePosixPath(path).parent / name)
                writer.writerow({"file": name, "split": split, **columns.texts(row)})
                count += 1
    return Unpacked(count, recordings, ["file", "split", *columns.names.values()], columns.omitted)


def _suffix(content: bytes) -> str:
    """Return the suffix of audio whose name is not known, by its first bytes."""
    return next((each for magic, each in _MAGIC.items() if content.startswith(magic)), ".wav")


def _open(path: Path) -> Any:
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowInvalid, OSError) as error:
        raise CorpusError(
            f"{path} is not a Parquet file ({error_summary(error)}); download it again, not as a "
            "pointer of Git LFS"
        ) from None


def _rows(file: Any, path: Path, columns: list[str]) -> Iterator[dict[str, Any]]:
    try:
        for batch in file.iter_batches(batch_size=_ROWS, columns=columns):
            yield from batch.to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        raise CorpusError(
            f"{path} is damaged ({error_summary(error)}); download it again"
        ) from None


class _Columns:
    """The columns of a data set."""

    def __init__(self, path: Path, schema: pa.Schema, audio: str | None) -> None:
        features = _features(schema)
        recordings = [field.name for field in schema if _has_recordings(field, features)]
        if audio is None and len(recordings) != 1:
            raise CorpusError(
                f"{path} has {len(recordings)} columns of recordings ({', '.join(recordings)}); "
                f"name one, or one of paths, with --audio (columns: {', '.join(schema.names)})"
            )
        self.audio = audio or recordings[0]
        if self.audio not in schema.names or not (
            self.audio in recordings or _is_text(schema.field(self.audio).type)
        ):
            raise CorpusError(
                f"{path} has no column {self.audio} with recordings or paths (columns: "
                f"{', '.join(schema.names)}); correct --audio"
            )
        self.labels = {
            name: feature["names"]
            for name, feature in features.items()
            if _kind(feature) == "ClassLabel"
        }
        plain = [field.name for field in schema if _is_plain(field.type)]
        self.needed = [self.audio, *(name for name in plain if name != self.audio)]
        self.names = {name: name for name in self.needed}
        self.names |= {name: f"original_{name}" for name in ("file", "split") if name in self.names}
        self.omitted = [name for name in schema.names if name not in self.needed]

    def recording(self, row: Mapping[str, Any]) -> tuple[str, bytes | None]:
        """Path of a row's recording, and its content if that is in the row."""
        value = row[self.audio] or ""
        if isinstance(value, str):
            return value, None
        return value["path"] or "", value["bytes"]

    def texts(self, row: Mapping[str, Any]) -> dict[str, str]:
        """Text of the columns in the table; of recordings, their path."""
        texts = {name: self._text(column, row[column]) for column, name in self.names.items()}
        return texts | {self.names[self.audio]: self.recording(row)[0]}

    def _text(self, column: str, value: Any) -> str:
        if value is None or (isinstance(value, float) and math.isnan(value)):
            return ""
        if column in self.labels:
            # -1: the label is withheld
            return str(self.labels[column][value]) if value >= 0 else ""
        return str(value)


def _features(schema: pa.Schema) -> dict[str, Any]:
    """Features of the `datasets` library, if it wrote the file."""
    text = (schema.metadata or {}).get(b"huggingface")
    info = json.loads(text).get("info") if text else None
    return (info or {}).get("features") or {}


def _has_recordings(field: pa.Field, features: Mapping[str, Any]) -> bool:
    """Whether a column is a struct of bytes and path, and not that of an image."""
    names = {each.name for each in field.type} if pa.types.is_struct(field.type) else set()
    return {"bytes", "path"} <= names and _kind(features.get(field.name)) in (None, "Audio")


def _kind(feature: Any) -> str | None:
    """Type of a feature; None: unknown, or a list."""
    return feature.get("_type") if isinstance(feature, Mapping) else None


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_plain(kind: pa.DataType) -> bool:
    """Whether the values are text, numbers, dates or truth values."""
    return _is_text(kind) or bool(pa.types.is_primitive(kind))
