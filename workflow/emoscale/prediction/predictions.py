"""Class probabilities of new recordings, predicted by a trained run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from emoscale.prediction.features import FeatureExtractor
from emoscale.prediction.recordings import Segment, SkippedRecording, split_recording
from emoscale.prediction.speakers import Speakers
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
    speakers: Speakers | None = None,
) -> pl.DataFrame:
    """Predict recordings with the mean of the repeats' probabilities.

    A recording longer than `segment_seconds` is split into segments of equal length. Its row is the
    mean of theirs, weighted by length, and their rows follow. Models that read only text do not
    split recordings. A run that normalises by speaker uses the mean and standard deviation of all
    `files` of a speaker, whose features are then in memory at once.

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
    speakers : Speakers or None
        Speakers of the recordings, if the run normalises by speaker.

    Returns
    -------
    DataFrame
        Predictions (schema `recording_predictions_schema`).
    """
    probabilities_of: dict[Segment, NDArray[np.float64]] = {}

    def inputs(files: Sequence[Path]) -> Iterator[_ExtractionInput]:
        return _extraction_inputs(run, extractor, files, transcripts, segment_seconds, on_skip)

    batches: Iterable[tuple[str, list[_ExtractionInput]]]
    if speakers is None:
        batches = (("", batch) for batch in _batches(inputs(files)))
    else:
        files_of_speaker = _files_of_speakers(files, speakers, on_skip)
        batches = ((name, list(inputs(named))) for name, named in files_of_speaker.items())
    for speaker, batch in batches:
        rows = dataframe_of([_row(each) for each in batch], EXTRACTION_INPUTS)
        keys, cell_features, errors = extractor.extract(rows, speaker)
        segment_of = {each.segment.key: each.segment for each in batch}
        for key, message in errors.items():
            on_skip(SkippedRecording(segment_of[key].file, message))
        if cell_features is not None:
            probabilities = run.probabilities(cell_features, cell_features.indices(keys), repeats)
            probabilities_of |= {
                segment_of[key]: row for key, row in zip(keys, probabilities, strict=True)
            }
    position = {file: number for number, file in enumerate(files)}
    in_order = sorted(probabilities_of, key=lambda each: (position[each.file], each.number))
    return predictions_table(run, repeats, {each: probabilities_of[each] for each in in_order})


def _files_of_speakers(
    files: Sequence[Path], speakers: Speakers, on_skip: Callable[[SkippedRecording], None]
) -> dict[str, list[Path]]:
    files_of_speaker: dict[str, list[Path]] = {}
    for file in files:
        try:
            files_of_speaker.setdefault(speakers.find(file), []).append(file)
        except UserError as error:
            on_skip(SkippedRecording(file, str(error)))
    return files_of_speaker


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
