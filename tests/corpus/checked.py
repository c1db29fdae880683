"""A corpus's recordings as the steps of the workflow make them, in one call."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa

from emoscale.config.corpus import AudioChecks
from emoscale.corpus.reading import Reading
from emoscale.corpus.recordings import check_shard, gather_recordings, texts_of
from emoscale.tables.schemas import TEXTS, UTTERANCES

UTTERANCES_WITH_TEXTS = pa.schema([*UTTERANCES, *list(TEXTS)[1:]])
"""What `read_utterances` gives."""


def check_recordings(
    reading: Reading, root: Path, checks: AudioChecks, threads: int = 1
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """What can be used, with its texts, and what was rejected."""
    usable, rejected = check_shard(reading.utterances, root, checks, threads)
    recordings, left_out = gather_recordings(reading, root, usable, rejected)
    texts = texts_of(reading.utterances, usable)
    return recordings.join(texts, on="utterance", how="left", maintain_order="left"), left_out
