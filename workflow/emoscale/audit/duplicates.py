"""Duplicate recordings: identical samples, or copies that differ in level, silence or format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from emoscale.audit.alignment import (
    CORRELATION_THRESHOLD,
    FRAME_CORRELATION_THRESHOLD,
    WaveformMatch,
    frame_correlation,
    match_waveforms,
)
from emoscale.runtime.progress import WorkProgress
from emoscale.tables.parquet import dataframe_of
from emoscale.tables.schemas import schema_field

SIMILARITY_THRESHOLD = 0.9
"""Similarity of fingerprints from which waveforms are compared (see docs/explanation/audit.md)."""

_BLOCK_ROWS = 1024  # rows and columns of the similarity matrix in memory
_CACHED_WAVEFORMS = 64
_PAIRS_AT_A_TIME = 1024  # a pair that waits for a thread takes 2 kB

Reader = Callable[[str], NDArray[np.float32]]

DUPLICATE_PAIRS = pa.schema(
    [
        schema_field("utterance", pa.string(), "key; the first of the two in sorted order"),
        schema_field("other", pa.string(), "key of the same recording"),
        schema_field("match", pa.string(), "identical: same samples; near: modified copy"),
        schema_field(
            "correlation",
            pa.float64(),
            "cross-correlation of the waveforms at the best lag, 0 to 1",
        ),
        schema_field(
            "frame_correlation",
            pa.float64(),
            "median correlation of the audible frames at this lag, -1 to 1",
        ),
        schema_field("lag_seconds", pa.float64(), "delay of the recording in `other`, seconds"),
        schema_field("gain_db", pa.float64(), "level of `other` relative to `utterance`, dB"),
    ]
)
"""Pairs of utterances that are the same recording, one per row."""

DUPLICATES = pa.schema(
    [
        schema_field("utterance", pa.string(), "unique key"),
        schema_field("group", pa.string(), "recording, named by the first of its keys"),
        schema_field(
            "match",
            pa.string(),
            "identical: same samples as another of its group; near: modified copy",
        ),
    ]
)
"""Utterances whose recording has several keys, one per row; folds are checked against this table.

It has no measured values, so that an audit with the same duplicates writes the same bytes and no
training is repeated.
"""


def similar_pairs(fingerprints: NDArray[np.float32]) -> NDArray[np.int32]:
    """Find the pairs of fingerprints whose similarity is at least `SIMILARITY_THRESHOLD`.

    Parameters
    ----------
    fingerprints : ndarray
        Fingerprints ``[utterances, FINGERPRINT_SIZE]``.

    Returns
    -------
    ndarray
        Row indices ``[pairs, 2]`` of each pair, the smaller index first.
    """
    return np.concatenate([np.empty((0, 2), np.int32), *_similar_blocks(fingerprints)])


def _similar_blocks(
    first: NDArray[np.float32], second: NDArray[np.float32] | None = None
) -> Iterator[NDArray[np.int32]]:
    """Yield the similar pairs ``[pairs, 2]`` of each block of rows and columns, also if none.

    Without `second`, they are the pairs within `first`, the smaller index first.
    """
    columns = first if second is None else second
    for row in range(0, len(first), _BLOCK_ROWS):
        for column in range(row if second is None else 0, len(columns), _BLOCK_ROWS):
            similar = (
                first[row : row + _BLOCK_ROWS] @ columns[column : column + _BLOCK_ROWS].T
                >= SIMILARITY_THRESHOLD
            )
            if second is None and row == column:
                similar = np.triu(similar, 1)
            yield (np.argwhere(similar) + np.array([row, column])).astype(np.int32)


def find_duplicate_pairs(
    utterances: Sequence[str],
    digests: Sequence[str],
    fingerprints: NDArray[np.float32],
    read: Reader,
    threads: int = 1,
) -> pl.DataFrame:
    """Find all pairs of utterances that are the same recording.

    Waveforms are read only for utterances with similar fingerprints and different samples.

    Parameters
    ----------
    utterances : sequence of str
        Keys in sorted order.
    digests : sequence of str
        sha256 of the samples of each utterance.
    fingerprints : ndarray
        Fingerprints ``[utterances, FINGERPRINT_SIZE]``.
    read : callable
        Reads the waveform ``[samples]`` at 16 kHz of an utterance, by its key.
    threads : int
        Number of threads.

    Returns
    -------
    DataFrame
        Columns of `DUPLICATE_PAIRS`.
    """
    first_row_of: dict[str, int] = {}
    rows: list[dict[str, object]] = []
    for row, digest in enumerate(digests):
        first_row = first_row_of.setdefault(digest, row)
        if first_row != row:
            identical = WaveformMatch(1.0, 0.0, 0.0)
            rows.append(
                _pair_row(utterances[first_row], utterances[row], "identical", identical, 1.0)
            )
    distinct_rows = np.array(sorted(first_row_of.values()), np.int32)
    pairs = distinct_rows[similar_pairs(fingerprints[distinct_rows])]
    read_cached = lru_cache(_CACHED_WAVEFORMS)(read)

    def compare(pair: tuple[int, int]) -> dict[str, object] | None:
        utterance, other = (utterances[row] for row in pair)
        copy = _match_copy(read_cached(utterance), read_cached(other))
        return copy and _pair_row(utterance, other, "near", *copy)

    with (
        WorkProgress("comparing similar recordings", len(pairs), "pairs") as progress,
        ThreadPoolExecutor(threads) as pool,
    ):
        for first in range(0, len(pairs), _PAIRS_AT_A_TIME):
            for result in pool.map(compare, pairs[first : first + _PAIRS_AT_A_TIME].tolist()):
                rows += [] if result is None else [result]
                progress.advance(1)
    return dataframe_of(rows, DUPLICATE_PAIRS).sort("utterance", "other")


@dataclass(frozen=True)
class RecordingSet:
    """Recordings to compare with those of another set."""

    utterances: Sequence[str]
    """Unique keys."""
    digests: Sequence[str]
    """sha256 of the samples of each utterance."""
    fingerprints: NDArray[np.float32]
    """Fingerprints ``[utterances, FINGERPRINT_SIZE]``."""
    read: Reader
    """Reads the waveform ``[samples]`` at 16 kHz of an utterance, by its key."""

    def select(self, rows: Sequence[int]) -> RecordingSet:
        """Return some of the recordings.

        Parameters
        ----------
        rows : sequence of int
            Their positions.

        Returns
        -------
        RecordingSet
            The recordings, in the order of `rows`.
        """
        return RecordingSet(
            [self.utterances[row] for row in rows],
            [self.digests[row] for row in rows],
            self.fingerprints[[*rows]],
            self.read,
        )


def shared_recordings(first: RecordingSet, second: RecordingSet, threads: int = 1) -> set[str]:
    """Find the recordings of a set that another set has, identical or as a modified copy.

    Recordings of the same set are not compared. Waveforms are read only for utterances with similar
    fingerprints and different samples, of one block of the similarity matrix at a time.

    Parameters
    ----------
    first, second : RecordingSet
        The two sets.
    threads : int
        Number of threads.

    Returns
    -------
    set of str
        Digests of the recordings of `first` that are in `second`.
    """
    shared = {*first.digests} & {*second.digests}
    rows = [row for row in _first_rows(first.digests) if first.digests[row] not in shared]
    first, second = first.select(rows), second.select(_first_rows(second.digests))
    read_first, read_second = (lru_cache(_CACHED_WAVEFORMS)(each.read) for each in (first, second))

    def compare(pair: tuple[int, int]) -> None:
        row, column = pair
        if first.digests[row] in shared:
            return
        waveforms = read_first(first.utterances[row]), read_second(second.utterances[column])
        if _match_copy(*waveforms) is not None:
            shared.add(first.digests[row])

    with (
        WorkProgress("searching for copies", len(second.digests), "recordings") as progress,
        ThreadPoolExecutor(threads) as pool,
    ):
        for column in range(0, len(second.digests), _BLOCK_ROWS):
            columns = second.fingerprints[column : column + _BLOCK_ROWS]
            for pairs in _similar_blocks(first.fingerprints, columns):
                for begin in range(0, len(pairs), _PAIRS_AT_A_TIME):
                    chunk = pairs[begin : begin + _PAIRS_AT_A_TIME] + np.array([0, column])
                    list(pool.map(compare, chunk.tolist()))
            progress.advance(len(columns))
    return shared


def _first_rows(digests: Sequence[str]) -> list[int]:
    """Position of the first occurrence of each digest, in order."""
    row_of: dict[str, int] = {}
    for row, digest in enumerate(digests):
        row_of.setdefault(digest, row)
    return list(row_of.values())


def duplicate_groups(pairs: pl.DataFrame) -> pl.DataFrame:
    """Group utterances that are the same recording, as connected components of the pairs.

    Parameters
    ----------
    pairs : DataFrame
        Columns of `DUPLICATE_PAIRS`.

    Returns
    -------
    DataFrame
        Columns of `DUPLICATES`, sorted by key.
    """
    parent_of: dict[str, str] = {}

    def group_of(name: str) -> str:
        while parent_of.setdefault(name, name) != name:
            name = parent_of[name]
        return name

    identical: set[str] = set()
    for utterance, other, match in pairs.select("utterance", "other", "match").iter_rows():
        first, second = sorted((group_of(utterance), group_of(other)))
        parent_of[second] = first
        identical |= {utterance, other} if match == "identical" else set()
    rows: list[dict[str, object]] = [
        {
            "utterance": name,
            "group": group_of(name),
            "match": "identical" if name in identical else "near",
        }
        for name in sorted(parent_of)
    ]
    return dataframe_of(rows, DUPLICATES)


def iterate_duplicate_groups(
    duplicates: pl.DataFrame, utterances: pl.DataFrame
) -> Iterator[pl.DataFrame]:
    """Iterate over the groups of utterances in a table that are the same recording.

    Parameters
    ----------
    duplicates : DataFrame
        Columns of `DUPLICATES`.
    utterances : DataFrame
        Any table with a column `utterance`.

    Yields
    ------
    DataFrame
        Two or more rows of `utterances` with their `group`, sorted by key.
    """
    joined = utterances.join(duplicates.select("utterance", "group"), on="utterance")
    for _, members in sorted(joined.group_by("group"), key=lambda item: str(item[0])):
        if len(members) > 1:
            yield members.sort("utterance")


def _match_copy(
    first: NDArray[np.float32], second: NDArray[np.float32]
) -> tuple[WaveformMatch, float] | None:
    """Alignment of two waveforms and the correlation of their frames; None: no copies."""
    match = match_waveforms(first, second)
    if match.correlation < CORRELATION_THRESHOLD:
        return None
    frames = frame_correlation(first, second, match)
    return None if frames < FRAME_CORRELATION_THRESHOLD else (match, frames)


def _pair_row(
    utterance: str, other: str, kind: str, match: WaveformMatch, frames: float
) -> dict[str, object]:
    return {
        "utterance": utterance,
        "other": other,
        "match": kind,
        "correlation": match.correlation,
        "frame_correlation": frames,
        "lag_seconds": match.lag_seconds,
        "gain_db": match.gain_db,
    }
