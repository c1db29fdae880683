"""Class probabilities of new recordings, predicted by a trained run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from emoscale.prediction.features import FeatureExtractor
from emoscale.prediction.recordings import Segment, SkippedRecording, split_recording
from emoscale.prediction.tables import predictions_table
from emoscale.prediction.transcripts import Transcripts
from emoscale.runtime.errors import UserError
from emoscale.tables.parquet import dataframe_of
from emoscale.tables.schemas import EXTRACTION_INPUTS
from emoscale.training.saved_run import SavedRepeat, SavedRun

BATCH_SECONDS = 600.0
"""Seconds of audio whose features are in memory at once."""


@dataclass(frozen=True)
class _ExtractionInput:
    segment: Segment
    transcript: str | None


def predict(
    run: SavedRun,
    repeats: Sequence[SavedRepeat],
    extractor: FeatureExtractor,
    files: Sequence[Path],
    transcripts: Transcripts,
    segment_seconds: float,
    on_skip: Callable[[SkippedRecording], None],
) -> pl.DataFrame:
    """Predict recordings with the mean of the repeats' probabilities.

    A recording longer than `segment_seconds` is split into segments of equal length. Its row is the
    mean of theirs, weighted by length, and their rows follow. Models that read only text do not
    split recordings.

    Parameters
    ----------
    run : SavedRun
        The run.
    repeats : sequence of SavedRepeat
        Repeats of the run whose probabilities are averaged.
    extractor : FeatureExtractor
        Extractor of the run's features.
    files : sequence of Path
        The recordings.
    transcripts : Transcripts
        Their transcripts, used if the model reads text.
    segment_seconds : float
        Maximum length of a segment in seconds.
    on_skip : callable
        Called with each recording or segment that cannot be predicted, when that is known.

    Returns
    -------
    DataFrame
        Predictions (schema `recording_predictions_schema`).
    """
    probabilities_of: dict[Segment, NDArray[np.float64]] = {}
    inputs = _extraction_inputs(run, extractor, files, transcripts, segment_seconds, on_skip)
    for batch in _batches(inputs):
        rows = dataframe_of([_row(each) for each in batch], EXTRACTION_INPUTS)
        keys, cell_features, errors = extractor.extract(rows)
        segment_of = {each.segment.key: each.segment for each in batch}
        for key, message in errors.items():
            on_skip(SkippedRecording(segment_of[key].file, message))
        if cell_features is not None:
            probabilities = run.probabilities(cell_features, cell_features.indices(keys), repeats)
            probabilities_of |= {
                segment_of[key]: row for key, row in zip(keys, probabilities, strict=True)
            }
    return predictions_table(run, repeats, probabilities_of)


def _extraction_inputs(
    run: SavedRun,
    extractor: FeatureExtractor,
    files: Sequence[Path],
    transcripts: Transcripts,
    segment_seconds: float,
    on_skip: Callable[[SkippedRecording], None],
) -> Iterator[_ExtractionInput]:
    for file in files:
        maximum_seconds = segment_seconds if extractor.reads_audio else float("inf")
        segments, skipped = split_recording(file, run.record.prediction.audio, maximum_seconds)
        for each in skipped:
            on_skip(each)
        transcript = None
        if segments and extractor.reads_text:
            try:
                transcript = _transcript(file, segments, transcripts, segment_seconds)
            except UserError as error:
                on_skip(SkippedRecording(file, str(error)))
                continue
        for segment in segments:
            yield _ExtractionInput(segment, transcript)


def _transcript(
    file: Path, segments: Sequence[Segment], transcripts: Transcripts, segment_seconds: float
) -> str:
    if segments[0].count > 1:
        raise UserError(
            f"{file}: is longer than {segment_seconds:g} s, but its transcript, which the model "
            "reads, cannot be split automatically; split both, or raise --segment-seconds"
        )
    return transcripts.find(file)


def _batches(inputs: Iterator[_ExtractionInput]) -> Iterator[list[_ExtractionInput]]:
    batch: list[_ExtractionInput] = []
    seconds = 0.0
    for each in inputs:
        batch.append(each)
        seconds += each.segment.seconds
        if seconds >= BATCH_SECONDS:
            yield batch
            batch, seconds = [], 0.0
    if batch:
        yield batch


def _row(extraction_input: _ExtractionInput) -> dict[str, object]:
    """Return a row of the schema `EXTRACTION_INPUTS`; no word alignment is known."""
    segment = extraction_input.segment
    return {
        "utterance": segment.key,
        "audio": str(segment.file),
        "start": segment.start,
        "end": segment.end,
        "seconds": segment.seconds,
        "transcript": extraction_input.transcript,
        "words": None,
        "audio_sha256": "",
    }
