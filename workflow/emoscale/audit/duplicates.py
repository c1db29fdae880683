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

from emoscale.audio.decoding import SAMPLE_RATE
from emoscale.audit.fingerprint import HIGHEST_HZ, LOWEST_HZ
from emoscale.runtime.progress import WorkProgress
from emoscale.tables.parquet import dataframe_of
from emoscale.tables.schemas import schema_field

SIMILARITY_THRESHOLD = 0.95
"""Similarity of fingerprints from which waveforms are compared (see docs/explanation/audit.md)."""

CORRELATION_THRESHOLD = 0.7
"""Correlation from which waveforms are the same recording (see docs/explanation/audit.md)."""

_BLOCK_ROWS = 1024  # rows of the similarity matrix in memory
_CACHED_WAVEFORMS = 64

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


@dataclass(frozen=True)
class WaveformMatch:
    """Best alignment of two waveforms."""

    correlation: float
    """Largest absolute normalised cross-correlation over all lags, between 200 Hz and 4 kHz."""

    lag_seconds: float
    """Delay of the second waveform relative to the first, seconds."""

    gain_db: float
    """Level of the second waveform relative to the first, dB."""


def match_waveforms(first: NDArray[np.float32], second: NDArray[np.float32]) -> WaveformMatch:
    """Align two waveforms at the lag of their largest absolute cross-correlation.

    Both are limited to 200 Hz to 4 kHz. An inverted copy matches as well. Silence does not change
    the correlation, so waveforms need not be trimmed. Noise at a signal-to-noise ratio r (a power
    ratio) lowers the correlation of a copy to √(r / (1 + r)).

    Parameters
    ----------
    first, second : ndarray
        Waveforms ``[samples]`` at 16 kHz.

    Returns
    -------
    WaveformMatch
        Correlation, lag and gain; all 0 if a waveform is silent.
    """
    size = 1 << int(np.ceil(np.log2(len(first) + len(second))))
    frequencies = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    passband = ((frequencies >= LOWEST_HZ) & (frequencies <= HIGHEST_HZ)).astype(np.float32)
    first_spectrum = np.fft.rfft(first, size) * passband
    second_spectrum = np.fft.rfft(second, size) * passband
    energy = [
        float(np.sum(np.abs(spectrum) ** 2)) for spectrum in (first_spectrum, second_spectrum)
    ]
    if min(energy) <= 0.0:
        return WaveformMatch(0.0, 0.0, 0.0)
    cross_correlation = np.abs(np.fft.irfft(second_spectrum * np.conj(first_spectrum), size))
    lag = int(cross_correlation.argmax())
    correlation = float(cross_correlation[lag]) * size / 2 / np.sqrt(energy[0] * energy[1])
    lag -= size if lag > size // 2 else 0
    gain = 10 * float(np.log10(energy[1] / energy[0]))
    return WaveformMatch(min(float(correlation), 1.0), lag / SAMPLE_RATE, gain)


def similar_pairs(fingerprints: NDArray[np.float32]) -> list[tuple[int, int]]:
    """Find the pairs of fingerprints whose similarity is at least `SIMILARITY_THRESHOLD`.

    Parameters
    ----------
    fingerprints : ndarray
        Fingerprints ``[utterances, FINGERPRINT_SIZE]``.

    Returns
    -------
    list of tuple
        Row indices of each pair, the smaller index first.
    """
    pairs: list[tuple[int, int]] = []
    for first in range(0, len(fingerprints), _BLOCK_ROWS):
        similarity = fingerprints[first : first + _BLOCK_ROWS] @ fingerprints[first:].T
        rows, columns = np.nonzero(np.triu(similarity >= SIMILARITY_THRESHOLD, 1))
        pairs += zip((first + rows).tolist(), (first + columns).tolist(), strict=True)
    return pairs


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
            rows.append(_pair_row(utterances[first_row], utterances[row], "identical", identical))
    distinct_rows = sorted(first_row_of.values())
    pairs = [
        (utterances[distinct_rows[first]], utterances[distinct_rows[second]])
        for first, second in similar_pairs(fingerprints[distinct_rows])
    ]
    read_cached = lru_cache(_CACHED_WAVEFORMS)(read)
    with (
        WorkProgress("comparing similar recordings", len(pairs), "pairs") as progress,
        ThreadPoolExecutor(threads) as pool,
    ):
        for (utterance, other), match in zip(
            pairs,
            pool.map(lambda pair: match_waveforms(*map(read_cached, pair)), pairs),
            strict=True,
        ):
            if match.correlation >= CORRELATION_THRESHOLD:
                rows.append(_pair_row(utterance, other, "near", match))
            progress.advance(1)
    return dataframe_of(rows, DUPLICATE_PAIRS).sort("utterance", "other")


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


def _pair_row(utterance: str, other: str, kind: str, match: WaveformMatch) -> dict[str, object]:
    return {
        "utterance": utterance,
        "other": other,
        "match": kind,
        "correlation": match.correlation,
        "lag_seconds": match.lag_seconds,
        "gain_db": match.gain_db,
    }
