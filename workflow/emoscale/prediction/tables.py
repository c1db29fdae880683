"""The table of predictions of new recordings, and the forms that it is written in."""

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

FORMS = (".csv", ".json", ".parquet")


def predictions_of_files(classes: Sequence[str]) -> pa.Schema:
    """A row a recording; of one that was cut, below it, a row a segment."""
    return pa.schema(
        [
            schema_field("file", pa.string(), "the recording, as it was named"),
            schema_field(
                "segment", pa.int32(), "which one of the recording's; null: all", null=True
            ),
            schema_field("segments", pa.int32(), "that the row is the mean of, weighted by length"),
            schema_field("start", pa.float64(), "seconds within the file"),
            schema_field("end", pa.float64(), "seconds within the file"),
            schema_field(
                "seconds", pa.float64(), "predicted; less than end - start if some was not"
            ),
            schema_field("predicted", pa.string(), "class of the highest probability"),
            *(
                schema_field(f"p_{name}", pa.float64(), "probability of this class")
                for name in classes
            ),
            schema_field("model", pa.string(), "experiment/fold/size of the study"),
            schema_field(
                "repeats", pa.string(), "trainings that the probabilities are the mean of"
            ),
            schema_field(
                "pretrained_weights",
                pa.string(),
                "where pre-trained weights come from; empty: none",
            ),
        ]
    )


def predictions_frame(
    run: SavedRun, repeats: Sequence[SavedRepeat], found: Mapping[Segment, NDArray[np.float64]]
) -> pl.DataFrame:
    """The table of probabilities [classes] of segments, which stand in the files' order."""
    of_file: dict[Path, list[Segment]] = {}
    for segment in found:
        of_file.setdefault(segment.file, []).append(segment)
    numbers = ", ".join(str(each.number) for each in repeats)

    def row(first: Segment, number: int | None, own: Sequence[Segment]) -> dict[str, object]:
        seconds = [each.seconds for each in own]
        probabilities = np.average([found[each] for each in own], axis=0, weights=seconds)
        return {
            "file": str(first.file),
            "segment": number,
            "segments": len(own),
            "start": own[0].start or 0.0,
            "end": own[-1].end or own[-1].seconds,
            "seconds": float(sum(seconds)),
            "predicted": run.classes[int(probabilities.argmax())],
            **{f"p_{name}": p for name, p in zip(run.classes, probabilities.tolist(), strict=True)},
            "model": run.name,
            "repeats": numbers,
            "pretrained_weights": run.weights,
        }

    rows: list[dict[str, object]] = []
    for segments in of_file.values():
        rows.append(row(segments[0], None, segments))
        if segments[0].count > 1:
            rows += [row(segment, segment.number, [segment]) for segment in segments]
    return dataframe_of(rows, predictions_of_files(run.classes))


def write_predictions(table: pl.DataFrame, classes: Sequence[str], path: Path) -> None:
    """Write the table as .csv, .json (a list of rows) or .parquet, atomically."""
    check_form(path)
    match path.suffix.lower():
        case ".csv":
            write_csv(table, path)
        case ".json":
            write_json(path, table.to_dicts())
        case _:
            write_table(table, path, predictions_of_files(classes))


def check_form(path: Path) -> None:
    """Raise `UserError` where the ending of `path` is not that of a form."""
    if path.suffix.lower() not in FORMS:
        raise UserError(f"{path}: is not one of {', '.join(FORMS)}; end its name in one of these")
