"""Class probabilities of new recordings, from a trained run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from emoscale.prediction.features import FeatureMaker
from emoscale.prediction.recordings import LeftOut, Segment, segments_of
from emoscale.prediction.tables import predictions_frame
from emoscale.prediction.transcripts import Transcripts
from emoscale.runtime.errors import UserError
from emoscale.tables.parquet import dataframe_of
from emoscale.tables.schemas import EXTRACTION_INPUTS
from emoscale.training.saved_run import SavedRepeat, SavedRun

SECONDS_AT_ONCE = 600.0
"""Of audio whose features are in memory together."""


@dataclass(frozen=True)
class _Asked:
    segment: Segment
    transcript: str | None


def predict(
    run: SavedRun,
    repeats: Sequence[SavedRepeat],
    maker: FeatureMaker,
    files: Sequence[Path],
    transcripts: Transcripts,
    segment_seconds: float,
    report: Callable[[LeftOut], None],
) -> pl.DataFrame:
    """Predictions of recordings (schema `predictions_of_files`), the mean of the repeats'.

    A recording longer than `segment_seconds` is cut into equal segments, none longer; the file's own
    row is the mean of theirs, weighted by their lengths, and they stand below it. Of a model that
    reads text alone nothing is cut. `report` is told at once of each recording or segment that is
    left out; the others are predicted all the same.
    """
    found: dict[Segment, NDArray[np.float64]] = {}
    asked = _asked(run, maker, files, transcripts, segment_seconds, report)
    for batch in _batches(asked):
        rows = dataframe_of([_row(each) for each in batch], EXTRACTION_INPUTS)
        keys, cell_features, failed = maker.features(rows)
        part_of = {each.segment.key: each.segment for each in batch}
        for key, sentence in failed.items():
            report(LeftOut(part_of[key].file, sentence))
        if cell_features is not None:
            probabilities = run.probabilities(cell_features, cell_features.indices(keys), repeats)
            found |= {part_of[key]: row for key, row in zip(keys, probabilities, strict=True)}
    return predictions_frame(run, repeats, found)


def _asked(
    run: SavedRun,
    maker: FeatureMaker,
    files: Sequence[Path],
    transcripts: Transcripts,
    segment_seconds: float,
    report: Callable[[LeftOut], None],
) -> Iterator[_Asked]:
    for file in files:
        longest = segment_seconds if maker.reads_audio else float("inf")
        segments, left_out = segments_of(file, run.record.prediction.audio, longest)
        for each in left_out:
            report(each)
        transcript = None
        if segments and maker.reads_text:
            try:
                transcript = _transcript(file, segments, transcripts, segment_seconds)
            except UserError as error:
                report(LeftOut(file, str(error)))
                continue
        for segment in segments:
            yield _Asked(segment, transcript)


def _transcript(
    file: Path, segments: Sequence[Segment], transcripts: Transcripts, segment_seconds: float
) -> str:
    if segments[0].count > 1:
        raise UserError(
            f"{file}: is longer than {segment_seconds:g} s, and the model reads a transcript, which "
            "cannot be cut with it; cut both, or raise --segment-seconds"
        )
    return transcripts.of(file)


def _batches(asked: Iterator[_Asked]) -> Iterator[list[_Asked]]:
    batch: list[_Asked] = []
    seconds = 0.0
    for each in asked:
        batch.append(each)
        seconds += each.segment.seconds
        if seconds >= SECONDS_AT_ONCE:
            yield batch
            batch, seconds = [], 0.0
    if batch:
        yield batch


def _row(asked: _Asked) -> dict[str, object]:
    """As extraction reads it: no alignment of words is known."""
    segment = asked.segment
    return {
        "utterance": segment.key,
        "audio": str(segment.file),
        "start": segment.start,
        "end": segment.end,
        "seconds": segment.seconds,
        "transcript": asked.transcript,
        "words": None,
        "audio_sha256": "",
    }
