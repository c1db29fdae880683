"""Inputs of feature extraction: waveforms and transcripts of utterances, read in advance."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import polars as pl

from emoscale.audio.decoding import read_waveform
from emoscale.audio.waveform import SAMPLE_RATE, Waveform
from emoscale.runtime.errors import AudioError, UserError
from emoscale.tables.parquet import dataframe_of, read_table
from emoscale.tables.schemas import EXTRACTION_INPUTS, SHARD, TEXTS

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(
    items: Iterable[Item], read: Callable[[Item], Result], buffer_size: int = 2, threads: int = 1
) -> Iterator[tuple[Item, Result]]:
    """Read items in background threads, ahead of their use.

    Parameters
    ----------
    items : iterable
        Items in the order of their use.
    read : callable
        Reads an item; what it raises is raised when the item's turn comes.
    buffer_size : int
        Number of items that are read in advance.
    threads : int
        Number of threads.

    Yields
    ------
    tuple
        Each item with the result of `read`, in order.
    """
    remaining = iter(items)
    pending: deque[tuple[Item, Future[Result]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            while True:
                for item in itertools.islice(remaining, buffer_size + 1 - len(pending)):
                    pending.append((item, pool.submit(read, item)))
                if not pending:
                    return
                item, future = pending.popleft()
                yield item, future.result()
        finally:
            for _, future in pending:
                future.cancel()


def read_extraction_inputs(shard: Path, texts: Path | None = None) -> pl.DataFrame:
    """Read the inputs of feature extraction: a shard's recordings and their transcripts.

    Parameters
    ----------
    shard : Path
        Table of recordings (schema `SHARD`).
    texts : Path or None
        Table of transcripts (schema `TEXTS`); None: all transcripts are null.

    Returns
    -------
    DataFrame
        Columns of `EXTRACTION_INPUTS`, one row per utterance.

    Raises
    ------
    StoreError
        If a table is missing or damaged.
    """
    transcripts = read_table(texts, TEXTS) if texts is not None else dataframe_of([], TEXTS)
    recordings = read_table(shard, SHARD)
    joined = recordings.join(transcripts, on="utterance", how="left", maintain_order="left")
    return joined.select(EXTRACTION_INPUTS.names)


def waveform_of(row: dict[str, Any], root: Path) -> Waveform:
    """Read the waveform of an utterance, and check that its duration has not changed.

    Parameters
    ----------
    row : dict
        The utterance, a row of schema `EXTRACTION_INPUTS`.
    root : Path
        Root folder of the corpus.

    Returns
    -------
    ndarray
        Waveform ``[samples]`` at 16 kHz.

    Raises
    ------
    UserError
        If the audio cannot be read, or has another duration than when the corpus was read.
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
            f"{key}: the duration is {seconds:.3f} s, but was {row['seconds']:.3f} s when the "
            "corpus was read: run again"
        )
    return waveform


def transcript_of(row: dict[str, Any]) -> str:
    """Return the transcript of an utterance.

    Parameters
    ----------
    row : dict
        The utterance, a row of schema `EXTRACTION_INPUTS`.

    Returns
    -------
    str
        Transcript as the corpus writes it.

    Raises
    ------
    UserError
        If the corpus has no transcript of the utterance.
    """
    if row["transcript"] is None:
        raise UserError(
            f"{row['utterance']}: has no transcript, which text representations need; add it to "
            "the corpus (an empty one where there is no speech), or remove the text representation"
        )
    return str(row["transcript"])
