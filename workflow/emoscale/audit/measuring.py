"""Passes over a corpus's audio: acoustics of each utterance, and which are one recording."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from emoscale.audio.decoding import read_recording, read_waveform
from emoscale.audit.acoustics import ACOUSTICS, measure
from emoscale.audit.fingerprint import SIZE, fingerprint
from emoscale.audit.same_recordings import find_same_recordings
from emoscale.runtime.errors import AudioError
from emoscale.runtime.progress import WorkProgress
from emoscale.tables.parquet import dataframe_of
from emoscale.tables.schemas import schema_field

MEASURED = pa.schema(
    [
        *ACOUSTICS,
        schema_field(
            "fingerprint", pa.list_(pa.float32()), "of norm 1, or 0 where there is nothing"
        ),
    ]
)
"""Acoustics and fingerprint of the utterances of a shard."""


def measure_shard(shard: pl.DataFrame, root: Path, threads: int = 1) -> pl.DataFrame:
    """Measure every recording of a shard (schema `SHARD`); give `MEASURED`, in the order of keys.

    An utterance is held at a time and thread. Raises `AudioError` where a recording has changed
    since the corpus was read.
    """

    def measured(at: dict[str, Any]) -> dict[str, object]:
        recording = read_recording(root / at["audio"], at["start"], at["end"])
        if recording.sha256() != at["audio_sha256"]:
            raise AudioError(
                "changed",
                f"{root / at['audio']}: {at['utterance']} is not what it was when the corpus was "
                "read: start the study again",
            )
        waveform = recording.waveform()
        row: dict[str, object] = measure(recording, waveform).row(at["utterance"])
        return {**row, "fingerprint": fingerprint(waveform)}

    rows: list[dict[str, object]] = []
    with (
        WorkProgress("measuring recordings", len(shard), "utterances") as progress,
        ThreadPoolExecutor(threads) as pool,
    ):
        for row in pool.map(measured, shard.sort("utterance").iter_rows(named=True)):
            rows.append(row)
            progress.advance(1)
    return dataframe_of(rows, MEASURED)


def find_pairs(
    shards: pl.DataFrame, measured: pl.DataFrame, root: Path, threads: int = 1
) -> pl.DataFrame:
    """All pairs of one recording (schema `SAME_RECORDINGS`).

    `shards` (schema `SHARD`) and `measured` are of all utterances. Only the few recordings with
    similar fingerprints are read again.
    """
    table = shards.sort("utterance")
    place = {row["utterance"]: row for row in table.iter_rows(named=True)}
    prints = measured.sort("utterance")["fingerprint"].to_list()

    def read(utterance: str) -> NDArray[np.float32]:
        at = place[utterance]
        return read_waveform(root / at["audio"], at["start"], at["end"])

    return find_same_recordings(
        table["utterance"].to_list(),
        table["audio_sha256"].to_list(),
        np.asarray(prints, np.float32).reshape(len(prints), SIZE),
        read,
        threads,
    )
