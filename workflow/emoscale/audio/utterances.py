"""What a representation is given of an utterance, read while the one before is computed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from emoscale.audio.decoding import SAMPLE_RATE, Waveform, read_waveform
from emoscale.runtime.errors import AudioError, UserError
from emoscale.tables.parquet import dataframe_of, read_table
from emoscale.tables.schemas import EXTRACTION_INPUTS, SHARD, TEXTS

Item = TypeVar("Item")
Read = TypeVar("Read")


def read_ahead(
    items: Sequence[Item], read: Callable[[Item], Read], ahead: int = 2
) -> Iterator[tuple[Item, Read]]:
    """Each item with what `read` gives of it, in order; a thread reads `ahead` items in advance.

    What `read` raises is raised where its item's turn comes.
    """
    waiting: list[Future[Read]] = []
    with ThreadPoolExecutor(max_workers=1) as thread:
        try:
            for place, item in enumerate(items):
                while len(waiting) <= place + ahead and len(waiting) < len(items):
                    waiting.append(thread.submit(read, items[len(waiting)]))
                result = waiting[place].result()
                waiting[place] = Future()  # or every result would stay in memory
                yield item, result
        finally:
            for future in waiting:
                future.cancel()


def read_extraction_inputs(shard: Path, texts: Path | None = None) -> pl.DataFrame:
    """What extraction reads (schema `EXTRACTION_INPUTS`) of a shard's recordings and texts.

    Without `texts` there are none. Raises `StoreError` where a table is damaged.
    """
    rows = read_table(texts, TEXTS) if texts is not None else dataframe_of([], TEXTS)
    recordings = read_table(shard, SHARD)
    together = recordings.join(rows, on="utterance", how="left", maintain_order="left")
    return together.select(EXTRACTION_INPUTS.names)


def waveform_of(row: dict[str, Any], root: Path) -> Waveform:
    """[samples] of an utterance (a row of schema `EXTRACTION_INPUTS`), 16 kHz.

    Raises `UserError` where its audio is not what it was when the corpus was read.
    """
    key = row["utterance"]
    try:
        waveform = read_waveform(root / row["audio"], row["start"], row["end"])
    except AudioError as error:
        raise UserError(
            f"{key}: {error}; the corpus changed since it was read: run again"
        ) from None
    seconds = len(waveform) / SAMPLE_RATE
    if abs(seconds - row["seconds"]) > 0.001 + 1 / SAMPLE_RATE:
        raise UserError(
            f"{key}: lasts {seconds:.3f} s and lasted {row['seconds']:.3f} s when the corpus was "
            "read: run again"
        )
    return waveform


def transcript_of(row: dict[str, Any]) -> str:
    """An utterance's transcript; raises `UserError` where the corpus has none of it."""
    if row["transcript"] is None:
        raise UserError(
            f"{row['utterance']}: has no transcript, which a text representation reads; add it to "
            "the corpus (an empty one where nothing is said), or leave the representation out"
        )
    return str(row["transcript"])
