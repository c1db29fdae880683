"""Passes over a corpus's audio: acoustic measures, fingerprints and duplicate recordings."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from emoscale.audio.decoding import read_recording, read_waveform
from emoscale.audit.acoustics import ACOUSTICS, measure_acoustics
from emoscale.audit.duplicates import RecordingSet, find_duplicate_pairs
from emoscale.audit.fingerprint import FINGERPRINT_SIZE, fingerprint
from emoscale.runtime.errors import AudioError
from emoscale.runtime.progress import WorkProgress
from emoscale.tables.parquet import dataframe_of
from emoscale.tables.schemas import schema_field

MEASUREMENTS = pa.schema(
    [
        *ACOUSTICS,
        schema_field(
            "fingerprint", pa.list_(pa.float32()), "fingerprint of norm 1; zeros if silent"
        ),
    ]
)
"""Acoustic measures and fingerprints, one row per utterance of a shard."""


def measure_shard(shard: pl.DataFrame, root: Path, threads: int = 1) -> pl.DataFrame:
    """Measure every recording of a shard, with one utterance per thread in memory.

    Parameters
    ----------
    shard : DataFrame
        Recordings (schema `SHARD`).
    root : Path
        Root folder of the corpus.
    threads : int
        Number of threads.

    Returns
    -------
    DataFrame
        Columns of `MEASUREMENTS`, sorted by key.

    Raises
    ------
    AudioError
        If a recording has changed since the corpus was read, or cannot be read.
    """

    def measure(location: dict[str, Any]) -> dict[str, object]:
        path = root / location["audio"]
        recording = read_recording(path, location["start"], location["end"])
        if recording.sha256() != location["audio_sha256"]:
            raise AudioError(
                "changed",
                f"{path}: {location['utterance']} has changed since the corpus was read; run the "
                "study again",
            )
        waveform = recording.waveform()
        acoustics = measure_acoustics(recording, waveform)
        return {**acoustics.row(location["utterance"]), "fingerprint": fingerprint(waveform)}

    rows: list[dict[str, object]] = []
    with (
        WorkProgress("measuring recordings", len(shard), "utterances") as progress,
        ThreadPoolExecutor(threads) as pool,
    ):
        for row in pool.map(measure, shard.sort("utterance").iter_rows(named=True)):
            rows.append(row)
            progress.advance(1)
    return dataframe_of(rows, MEASUREMENTS)


def find_corpus_duplicates(
    shards: pl.DataFrame, measurements: pl.DataFrame, root: Path, threads: int = 1
) -> pl.DataFrame:
    """Find all pairs of utterances that are the same recording.

    Only the few recordings with similar fingerprints are read again.

    Parameters
    ----------
    shards : DataFrame
        All utterances of the corpus (schema `SHARD`).
    measurements : DataFrame
        Their measurements (schema `MEASUREMENTS`).
    root : Path
        Root folder of the corpus.
    threads : int
        Number of threads.

    Returns
    -------
    DataFrame
        Columns of `DUPLICATE_PAIRS`.

    Raises
    ------
    AudioError
        If a recording cannot be read.
    """
    recordings = recording_set(shards, measurements, root)
    return find_duplicate_pairs(
        recordings.utterances,
        recordings.digests,
        recordings.fingerprints,
        recordings.read,
        threads,
    )


def recording_set(shards: pl.DataFrame, measurements: pl.DataFrame, root: Path) -> RecordingSet:
    """Return the recordings of a corpus with what comparisons need.

    Parameters
    ----------
    shards : DataFrame
        Utterances, with the columns of the schema `SHARD`.
    measurements : DataFrame
        Table with the columns `utterance` and `fingerprint`, with the same utterances.
    root : Path
        Root folder of the corpus.

    Returns
    -------
    RecordingSet
        The utterances, sorted by key.
    """
    table = shards.sort("utterance")
    utterances = table["utterance"].to_list()
    locations = table.select("audio", "start", "end").iter_rows()
    location_of = dict(zip(utterances, locations, strict=True))
    fingerprints = measurements.sort("utterance")["fingerprint"].list.to_array(FINGERPRINT_SIZE)

    def read(utterance: str) -> NDArray[np.float32]:
        audio, start, end = location_of[utterance]
        return read_waveform(root / audio, start, end)

    return RecordingSet(utterances, table["audio_sha256"].to_list(), fingerprints.to_numpy(), read)
