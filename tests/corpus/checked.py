"""The recordings of a corpus as the workflow computes them, in one call."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa

from emoscale.config.corpus import AudioChecks
from emoscale.corpus.readers import CorpusManifest
from emoscale.corpus.recordings import check_shard, merge_shards, texts_table
from emoscale.tables.schemas import TEXTS, UTTERANCES

UTTERANCES_WITH_TEXTS = pa.schema([*UTTERANCES, *list(TEXTS)[1:]])
"""Schema of what `read_utterances` returns."""


def check_recordings(
    manifest: CorpusManifest, root: Path, checks: AudioChecks, threads: int = 1
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Usable recordings with their texts, and the rejected entries."""
    usable, rejected = check_shard(manifest.utterances, root, checks, threads)
    recordings, all_rejected = merge_shards(manifest, root, usable, rejected)
    texts = texts_table(manifest.utterances, usable)
    return recordings.join(texts, on="utterance", how="left", maintain_order="left"), all_rejected
