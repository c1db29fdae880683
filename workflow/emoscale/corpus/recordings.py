"""Checks every recording that a reader named, and makes the table of those that can be used."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import polars as pl

from emoscale.audio import check_recording, read_recording
from emoscale.config.corpus import AudioChecks
from emoscale.corpus.reading import Reading, Rejected, Utterance, text_key
from emoscale.errors import AudioError, CorpusError
from emoscale.progress import WorkProgress
from emoscale.tables import RECORDINGS, REJECTED, frame_of


def check_recordings(
    reading: Reading, root: Path, checks: AudioChecks, threads: int = 1
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Decode every utterance's audio; give the tables of recordings and of what was rejected.

    Each utterance of `reading` is a row in exactly one of them. Raises `CorpusError` when no
    recording at all can be used.
    """
    rows: list[dict[str, object]] = []
    rejected = list(reading.rejected)
    with (
        WorkProgress("checking recordings", len(reading.utterances), "utterances") as progress,
        ThreadPoolExecutor(threads) as pool,
    ):
        for outcome in pool.map(
            lambda utterance: _check(utterance, reading.corpus, root, checks), reading.utterances
        ):
            if isinstance(outcome, Rejected):
                rejected.append(outcome)
            else:
                rows.append(outcome)
            progress.advance(1)
    if not rows:
        raise CorpusError(
            f"{root}: none of {len(reading.utterances)} recordings can be used; "
            f"the first reason: {rejected[-1].detail if rejected else 'there is none'}"
        )
    recordings = frame_of(rows, RECORDINGS).sort("utterance")
    left_out = frame_of([asdict(row) for row in rejected], REJECTED)
    return recordings, left_out.sort("reason", "file", "utterance", "place", nulls_last=True)


def _check(
    utterance: Utterance, corpus: str, root: Path, checks: AudioChecks
) -> dict[str, object] | Rejected:
    try:
        recording = read_recording(root / utterance.audio, utterance.start, utterance.end)
        check_recording(recording, checks, utterance.audio)
    except AudioError as error:
        return Rejected(utterance.audio, error.reason, str(error), utterance.utterance)
    return {
        **asdict(utterance),
        "corpus": utterance.corpus or corpus,
        "seconds": recording.seconds,
        "sample_rate": recording.sample_rate,
        "channels": recording.channels,
        "text_key": text_key(utterance.transcript),
        "audio_sha256": recording.sha256(),
    }
