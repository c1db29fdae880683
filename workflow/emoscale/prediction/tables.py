"""The table of predictions of new recordings, and the forms that it is written in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from emoscale.prediction.recordings import Part
from emoscale.runtime.errors import UserError
from emoscale.runtime.files import write_json
from emoscale.tables.parquet import frame_of, write_csv, write_table
from emoscale.tables.schemas import described
from emoscale.training.saved_run import SavedRepeat, SavedRun

FORMS = (".csv", ".json", ".parquet")


def predictions_of_files(classes: Sequence[str]) -> pa.Schema:
    """A row a recording; of one that was cut, below it, a row a window."""
    return pa.schema(
        [
            described("file", pa.string(), "the recording, as it was named"),
            described("window", pa.int32(), "which one of the recording's; null: all", null=True),
            described("windows", pa.int32(), "that the row is the mean of, weighted by length"),
            described("start", pa.float64(), "seconds within the file"),
            described("end", pa.float64(), "seconds within the file"),
            described("seconds", pa.float64(), "predicted; less than end - start if some was not"),
            described("predicted", pa.string(), "class of the highest probability"),
            *(
                described(f"p_{name}", pa.float64(), "probability of this class")
                for name in classes
            ),
            described("model", pa.string(), "experiment/fold/size of the study"),
            described("repeats", pa.string(), "trainings that the probabilities are the mean of"),
            described("weights", pa.string(), "where pre-trained weights come from; empty: none"),
        ]
    )


def predictions_frame(
    run: SavedRun, repeats: Sequence[SavedRepeat], found: Mapping[Part, NDArray[np.float64]]
) -> pl.DataFrame:
    """The table of probabilities [classes] of parts, which stand in the files' order."""
    of_file: dict[Path, list[Part]] = {}
    for part in found:
        of_file.setdefault(part.file, []).append(part)
    numbers = ", ".join(str(each.number) for each in repeats)

    def row(part: Part, window: int | None, own: Sequence[Part]) -> dict[str, object]:
        seconds = [each.seconds for each in own]
        probabilities = np.average([found[each] for each in own], axis=0, weights=seconds)
        return {
            "file": str(part.file),
            "window": window,
            "windows": len(own),
            "start": own[0].start or 0.0,
            "end": own[-1].end or own[-1].seconds,
            "seconds": float(sum(seconds)),
            "predicted": run.classes[int(probabilities.argmax())],
            **{f"p_{name}": p for name, p in zip(run.classes, probabilities.tolist(), strict=True)},
            "model": run.name,
            "repeats": numbers,
            "weights": run.weights,
        }

    rows: list[dict[str, object]] = []
    for parts in of_file.values():
        rows.append(row(parts[0], None, parts))
        if parts[0].windows > 1:
            rows += [row(part, part.window, [part]) for part in parts]
    return frame_of(rows, predictions_of_files(run.classes))


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
