"""Table of the predictions of new recordings, and the file formats that it is written in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from emoscale.prediction.recordings import Segment
from emoscale.runtime.errors import UserError
from emoscale.runtime.files import write_json
from emoscale.tables.parquet import dataframe_of, write_csv, write_table
from emoscale.tables.schemas import schema_field
from emoscale.training.saved_run import SavedRepeat, SavedRun

SUFFIXES = (".csv", ".json", ".parquet")
"""Suffixes of the file formats."""

EMO_CLASSES = {
    **{"anger": "A", "angry": "A", "contempt": "C", "disgust": "D", "fear": "F"},
    **{"happiness": "H", "happy": "H", "neutral": "N", "sadness": "S", "sad": "S", "surprise": "U"},
}
"""Letters of the classes in MSP-Podcast (its column EmoClass), by usual names of classes."""


def recording_predictions_schema(classes: Sequence[str]) -> pa.Schema:
    """Return the schema of a table with one row per recording and per segment of a split one.

    The rows of segments follow the row of their recording.

    Parameters
    ----------
    classes : sequence of str
        Names of the classes.

    Returns
    -------
    Schema
        The schema.
    """
    return pa.schema(
        [
            schema_field("file", pa.string(), "path of the recording, as it was given"),
            schema_field(
                "segment",
                pa.int32(),
                "number of the segment in the recording, from 1; null: the whole recording",
                null=True,
            ),
            schema_field(
                "segments",
                pa.int32(),
                "number of segments whose mean, weighted by length, the probabilities are",
            ),
            schema_field("start", pa.float64(), "start within the file, seconds"),
            schema_field("end", pa.float64(), "end within the file, seconds"),
            schema_field(
                "seconds",
                pa.float64(),
                "predicted duration, seconds; less than end - start if segments were skipped",
            ),
            schema_field("predicted", pa.string(), "class with the highest probability"),
            *(
                schema_field(f"p_{name}", pa.float64(), "probability of this class")
                for name in classes
            ),
            schema_field("model", pa.string(), "experiment/fold/size of the study"),
            schema_field(
                "repeats", pa.string(), "repeats whose mean the probabilities are, comma-separated"
            ),
            schema_field(
                "pretrained_weights",
                pa.string(),
                "source of the pre-trained weights; empty: none",
            ),
        ]
    )


def predictions_table(
    run: SavedRun,
    repeats: Sequence[SavedRepeat],
    probabilities_of: Mapping[Segment, NDArray[np.float64]],
) -> pl.DataFrame:
    """Build the table of predictions (schema `recording_predictions_schema`).

    Parameters
    ----------
    run : SavedRun
        The run.
    repeats : sequence of SavedRepeat
        Repeats whose mean the probabilities are.
    probabilities_of : mapping of Segment to array
        Probabilities ``[classes]`` of each segment, in the order of the files.

    Returns
    -------
    DataFrame
        The table.
    """
    segments_of: dict[Path, list[Segment]] = {}
    for segment in probabilities_of:
        segments_of.setdefault(segment.file, []).append(segment)
    numbers = ", ".join(str(repeat.number) for repeat in repeats)

    def row(file: Path, number: int | None, segments: Sequence[Segment]) -> dict[str, object]:
        seconds = [segment.seconds for segment in segments]
        probabilities = np.average(
            [probabilities_of[segment] for segment in segments], axis=0, weights=seconds
        )
        return {
            "file": str(file),
            "segment": number,
            "segments": len(segments),
            "start": segments[0].start or 0.0,
            "end": segments[-1].end or segments[-1].seconds,
            "seconds": float(sum(seconds)),
            "predicted": run.classes[int(probabilities.argmax())],
            **{f"p_{name}": p for name, p in zip(run.classes, probabilities.tolist(), strict=True)},
            "model": run.name,
            "repeats": numbers,
            "pretrained_weights": run.pretrained_weights,
        }

    rows: list[dict[str, object]] = []
    for file, segments in segments_of.items():
        rows.append(row(file, None, segments))
        if segments[0].count > 1:
            rows += [row(file, segment.number, [segment]) for segment in segments]
    return dataframe_of(rows, recording_predictions_schema(run.classes))


def write_predictions(table: pl.DataFrame, classes: Sequence[str], path: Path) -> None:
    """Write the table as CSV, JSON (a list of rows) or Parquet, atomically.

    Parameters
    ----------
    table : DataFrame
        The predictions.
    classes : sequence of str
        Names of the classes.
    path : Path
        The file; its suffix selects the format.

    Raises
    ------
    UserError
        If the suffix is of no supported format.
    """
    check_format(path)
    match path.suffix.lower():
        case ".csv":
            write_csv(table, path)
        case ".json":
            write_json(path, table.to_dicts())
        case _:
            write_table(table, path, recording_predictions_schema(classes))


def write_submission(table: pl.DataFrame, path: Path) -> None:
    """Write predictions as the MSP-Podcast challenges ask for: FileName and EmoClass, atomically.

    Parameters
    ----------
    table : DataFrame
        The predictions, whose classes `check_submission` has accepted.
    path : Path
        The CSV file.
    """
    recordings = table.filter(pl.col("segment").is_null())
    names = [Path(file).name for file in recordings["file"]]
    letters = [_letter(name) for name in recordings["predicted"]]
    write_csv(pl.DataFrame({"FileName": names, "EmoClass": letters}), path)


def check_submission(classes: Sequence[str], path: Path | None) -> None:
    """Check that predictions can be written as a submission.

    Parameters
    ----------
    classes : sequence of str
        Names of the classes.
    path : Path or None
        The file to write; None: none is given.

    Raises
    ------
    UserError
        If there is no file, or it is no CSV file, or MSP-Podcast does not have a class.
    """
    if path is None or path.suffix.lower() != ".csv":
        raise UserError("--challenge writes a CSV file: name it with --output, such as test3.csv")
    for name in classes:
        if _letter(name) is None:
            raise UserError(
                f"the class {name} is none of MSP-Podcast ({', '.join(EMO_CLASSES)}, or their "
                "letters); train with classes of these names"
            )


def _letter(name: str) -> str | None:
    letter = EMO_CLASSES.get(name.lower(), name)
    return letter if letter in EMO_CLASSES.values() else None


def check_format(path: Path) -> None:
    """Check that the suffix of a path is that of a supported format.

    Parameters
    ----------
    path : Path
        The path.

    Raises
    ------
    UserError
        If it is not.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise UserError(
            f"{path}: is not one of {', '.join(SUFFIXES)}; end its name in one of these"
        )
