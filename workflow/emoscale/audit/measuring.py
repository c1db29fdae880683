"""One pass over a corpus's audio: acoustics of each utterance, and which are one recording."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from emoscale.audio import read_recording, read_waveform
from emoscale.audit.acoustics import ACOUSTICS, measure
from emoscale.audit.fingerprint import fingerprint
from emoscale.audit.same_recordings import find_same_recordings
from emoscale.progress import WorkProgress
from emoscale.tables import frame_of


def measure_corpus(
    recordings: pl.DataFrame, root: Path, threads: int = 1
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Measure every recording of the table; give `ACOUSTICS` and `SAME_RECORDINGS`.

    An utterance is held at a time and thread; of each, 1 KB of fingerprint is kept. Raises
    `AudioError` where a recording has changed since the corpus was read.
    """
    table = recordings.select("utterance", "audio", "start", "end", "audio_sha256").sort(
        "utterance"
    )
    place = {row["utterance"]: row for row in table.iter_rows(named=True)}

    def measured(utterance: str) -> tuple[dict[str, Any], NDArray[np.float32]]:
        at = place[utterance]
        recording = read_recording(root / at["audio"], at["start"], at["end"])
        waveform = recording.waveform()
        return measure(recording, waveform).row(utterance), fingerprint(waveform)

    def read(utterance: str) -> NDArray[np.float32]:
        at = place[utterance]
        return read_waveform(root / at["audio"], at["start"], at["end"])

    rows: list[dict[str, object]] = []
    prints = []
    with (
        WorkProgress("measuring recordings", len(table), "utterances") as progress,
        ThreadPoolExecutor(threads) as pool,
    ):
        for row, own in pool.map(measured, table["utterance"]):
            rows.append(row)
            prints.append(own)
            progress.advance(1)
    pairs = find_same_recordings(
        table["utterance"].to_list(),
        table["audio_sha256"].to_list(),
        np.stack(prints),
        read,
        threads,
    )
    return frame_of(rows, ACOUSTICS), pairs
