"""Which utterances are one recording: identical, or changed in level, silence or format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from emoscale.audio.decoding import SAMPLE_RATE
from emoscale.audit.fingerprint import HIGHEST_HZ, LOWEST_HZ
from emoscale.runtime.progress import WorkProgress
from emoscale.tables.parquet import dataframe_of
from emoscale.tables.schemas import schema_field

SIMILAR = 0.95
"""Fingerprints this similar are worth comparing sample by sample (docs/audit.md: the margins)."""

SAME = 0.7
"""Waveforms that correlate this much are one recording (docs/audit.md: the margins)."""

_ROWS = 1024  # of the table of all similarities, held at once
_KEPT_WAVEFORMS = 64

Reader = Callable[[str], NDArray[np.float32]]

SAME_RECORDINGS = pa.schema(
    [
        schema_field("utterance", pa.string(), "key"),
        schema_field("other", pa.string(), "key of the same recording; the later of the two names"),
        schema_field("match", pa.string(), "identical: the same samples; near: changed a little"),
        schema_field("correlation", pa.float64(), "of the waveforms at the best lag, 0 to 1"),
        schema_field("lag_seconds", pa.float64(), "by how much it begins later in the other"),
        schema_field("gain_db", pa.float64(), "level of the other against it, dB"),
    ]
)
"""A row a pair that was found."""

DUPLICATES = pa.schema(
    [
        schema_field("utterance", pa.string(), "unique key"),
        schema_field("group", pa.string(), "first key of the recording that it is one of"),
        schema_field(
            "match", pa.string(), "identical: to another of its group; near: changed a little"
        ),
    ]
)
"""A row an utterance whose recording stands under another key, too; what folds are checked with.

No measured numbers, so that an audit that finds the same leaves the same bytes and trains nothing
again.
"""


@dataclass(frozen=True)
class Match:
    """How two waveforms fit on each other."""

    correlation: float
    """Largest absolute normalised cross-correlation over all lags, between 200 Hz and 4 kHz."""

    lag_seconds: float
    """How much later the second has what the first has."""

    gain_db: float
    """Level of the second against the first."""


def match(one: NDArray[np.float32], other: NDArray[np.float32]) -> Match:
    """Lay two waveforms, [samples] at 16 kHz, on each other at the lag where they fit best.

    Both are limited to 200 Hz to 4 kHz. An inverted copy fits as well. Silence adds nothing, so
    neither needs to be trimmed; noise of a signal-to-noise ratio r lowers the correlation of a copy
    to √(r / (1 + r)).
    """
    size = 1 << int(np.ceil(np.log2(len(one) + len(other))))
    frequencies = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    inside = ((frequencies >= LOWEST_HZ) & (frequencies <= HIGHEST_HZ)).astype(np.float32)
    first, second = np.fft.rfft(one, size) * inside, np.fft.rfft(other, size) * inside
    energy = [float(np.sum(np.abs(each) ** 2)) for each in (first, second)]
    if min(energy) <= 0.0:
        return Match(0.0, 0.0, 0.0)
    course = np.abs(np.fft.irfft(second * np.conj(first), size))
    lag = int(course.argmax())
    correlation = float(course[lag]) * size / 2 / np.sqrt(energy[0] * energy[1])
    lag -= size if lag > size // 2 else 0
    gain = 10 * float(np.log10(energy[1] / energy[0]))
    return Match(min(float(correlation), 1.0), lag / SAMPLE_RATE, gain)


def similar_pairs(fingerprints: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Pairs (row, later row) of [utterances, SIZE] whose similarity is `SIMILAR` or more."""
    pairs: list[tuple[int, int]] = []
    for first in range(0, len(fingerprints), _ROWS):
        similarity = fingerprints[first : first + _ROWS] @ fingerprints[first:].T
        rows, columns = np.nonzero(np.triu(similarity >= SIMILAR, 1))
        pairs += zip((first + rows).tolist(), (first + columns).tolist(), strict=True)
    return pairs


def find_same_recordings(
    utterances: Sequence[str],
    digests: Sequence[str],
    fingerprints: NDArray[np.float32],
    read: Reader,
    threads: int = 1,
) -> pl.DataFrame:
    """All pairs of one recording (columns of `SAME_RECORDINGS`).

    `utterances` are in the order of their names, `digests` are those of their samples and
    `fingerprints` [utterances, SIZE]. `read` gives an utterance's waveform again, [samples] at
    16 kHz: only those are read whose fingerprints are similar and whose samples are not the same.
    """
    first_of: dict[str, int] = {}
    rows: list[dict[str, object]] = []
    for row, digest in enumerate(digests):
        known = first_of.setdefault(digest, row)
        if known != row:
            rows.append(_row(utterances[known], utterances[row], "identical", Match(1.0, 0.0, 0.0)))
    single = sorted(first_of.values())
    pairs = [
        (utterances[single[one]], utterances[single[other]])
        for one, other in similar_pairs(fingerprints[single])
    ]
    cached = lru_cache(_KEPT_WAVEFORMS)(read)
    with (
        WorkProgress("comparing similar recordings", len(pairs), "pairs") as progress,
        ThreadPoolExecutor(threads) as pool,
    ):
        for (one, other), found in zip(
            pairs,
            pool.map(lambda pair: match(cached(pair[0]), cached(pair[1])), pairs),
            strict=True,
        ):
            if found.correlation >= SAME:
                rows.append(_row(one, other, "near", found))
            progress.advance(1)
    return dataframe_of(rows, SAME_RECORDINGS).sort("utterance", "other")


def duplicate_groups(pairs: pl.DataFrame) -> pl.DataFrame:
    """Utterances by the recording they are (columns of `DUPLICATES`), from `SAME_RECORDINGS`."""
    group_of: dict[str, str] = {}

    def group(name: str) -> str:
        while group_of.setdefault(name, name) != name:
            name = group_of[name]
        return name

    identical: set[str] = set()
    for one, other, how in pairs.select("utterance", "other", "match").iter_rows():
        first, second = sorted((group(one), group(other)))
        group_of[second] = first
        identical |= {one, other} if how == "identical" else set()
    rows: list[dict[str, object]] = [
        {
            "utterance": name,
            "group": group(name),
            "match": "identical" if name in identical else "near",
        }
        for name in sorted(group_of)
    ]
    return dataframe_of(rows, DUPLICATES)


def groups_within(duplicates: pl.DataFrame, utterances: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """The rows of `utterances` of each recording that several of them are, with its `group`."""
    joined = utterances.join(duplicates.select("utterance", "group"), on="utterance")
    for _, members in sorted(joined.group_by("group"), key=lambda item: str(item[0])):
        if len(members) > 1:
            yield members.sort("utterance")


def _row(one: str, other: str, how: str, found: Match) -> dict[str, object]:
    return {
        "utterance": one,
        "other": other,
        "match": how,
        "correlation": found.correlation,
        "lag_seconds": found.lag_seconds,
        "gain_db": found.gain_db,
    }
