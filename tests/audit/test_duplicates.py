"""Copies of a recording are detected after each modification; different recordings are not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from emoscale.audio.decoding import read_waveform
from emoscale.audit.duplicates import (
    CORRELATION_THRESHOLD,
    DUPLICATES,
    SIMILARITY_THRESHOLD,
    duplicate_groups,
    match_waveforms,
    similar_pairs,
)
from emoscale.audit.fingerprint import fingerprint
from emoscale.audit.measurement import find_corpus_duplicates, measure_shard
from emoscale.tables.parquet import write_table
from tests.audit.speech import COPIES, RATE, recordings_of, speech, write_corpus


def pairs_of(
    root: Path, waves: Mapping[str, Mapping[str, object]], threads: int = 1
) -> pl.DataFrame:
    rows = [
        {"file": f"{name}.wav", "speaker": "a", "emotion": "x", **row}
        for name, row in waves.items()
    ]
    corpus = write_corpus(root, rows)
    recordings = recordings_of(corpus)
    return find_corpus_duplicates(
        recordings, measure_shard(recordings, root, threads), root, threads
    )


@pytest.mark.parametrize("copy", COPIES)
def test_modified_copies_are_detected(tmp_path: Path, copy: str) -> None:
    others = {f"other{number}": {"wave": speech(number)} for number in range(2, 6)}
    waves = {"one": {"wave": speech(1)}, "two": {"wave": COPIES[copy](speech(1))}, **others}
    pairs = pairs_of(tmp_path, waves)
    assert pairs.select("utterance", "other", "match").rows() == [("one", "two", "near")]


def test_gain_lag_and_correlation_of_a_copy(tmp_path: Path) -> None:
    delayed = np.pad(0.5 * speech(1), (1600, 0))
    (row,) = pairs_of(tmp_path, {"one": {"wave": speech(1)}, "two": {"wave": delayed}}).to_dicts()
    assert row["gain_db"] == pytest.approx(-6.02, abs=0.01)
    assert row["lag_seconds"] == pytest.approx(0.1, abs=1e-4)
    assert row["correlation"] > 0.999


def test_identical_samples(tmp_path: Path) -> None:
    pairs = pairs_of(tmp_path, {"one": {"wave": speech(1)}, "two": {"wave": speech(1)}})
    assert pairs.select("utterance", "other", "match", "correlation").rows() == [
        ("one", "two", "identical", 1.0)
    ]


def test_other_sample_rates_and_24_bits(tmp_path: Path) -> None:
    pairs = pairs_of(
        tmp_path,
        {
            "one": {"wave": speech(1)},
            "three": {"wave": speech(1), "rate": 48_000},
            "two": {"wave": speech(1), "subtype": "PCM_24"},
        },
        threads=2,
    )
    assert pairs.select("utterance", "other").rows() == [
        ("one", "three"),
        ("one", "two"),
        ("three", "two"),
    ]
    groups = duplicate_groups(pairs)
    assert groups["group"].to_list() == ["one"] * 3
    write_table(groups, tmp_path / "duplicates.parquet", DUPLICATES)


def test_silence_and_mains_hum_match_nothing() -> None:
    hum = np.sin(2 * np.pi * 50 * np.arange(RATE) / RATE).astype(np.float32)
    assert fingerprint(np.zeros(RATE, np.float32)).sum() == 0
    assert match_waveforms(np.zeros(RATE, np.float32), hum).correlation == 0
    noisy = [0.3 * hum + speech(seed, 1.0) for seed in (1, 2)]
    assert match_waveforms(*noisy).correlation < 0.5


def test_correlation_of_a_noisy_copy_matches_theory() -> None:
    """The correlation is √(r / (1 + r)) for a power ratio r within the band."""
    generator = np.random.default_rng(3)
    one, noise = generator.normal(size=(2, 4 * RATE)).astype(np.float32)
    assert match_waveforms(one, one + noise).correlation == pytest.approx(np.sqrt(1 / 2), abs=0.01)


def test_groups_are_connected_components() -> None:
    pairs = pl.DataFrame(
        {
            "utterance": ["b", "a", "d"],
            "other": ["c", "c", "e"],
            "match": ["near", "near", "identical"],
        }
    )
    assert duplicate_groups(pairs).rows() == [
        ("a", "a", "near"),
        ("b", "a", "near"),
        ("c", "a", "near"),
        ("d", "d", "identical"),
        ("e", "d", "identical"),
    ]


def test_similar_pairs_do_not_depend_on_blocks() -> None:
    generator = np.random.default_rng(5)
    fingerprints = generator.normal(size=(2100, 16)).astype(np.float32)
    fingerprints[[7, 1500, 2099]] = fingerprints[3]
    fingerprints /= np.linalg.norm(fingerprints, axis=1, keepdims=True)
    expected = np.argwhere(np.triu(fingerprints @ fingerprints.T >= SIMILARITY_THRESHOLD, 1))
    assert sorted(similar_pairs(fingerprints)) == [tuple(pair) for pair in expected.tolist()]
    assert {(3, 7), (3, 1500), (1500, 2099)} <= set(similar_pairs(fingerprints))


def test_margins_on_emodb(emodb_root: Path) -> None:
    """Acted speech: the same sentences by the same speakers are the hardest to distinguish.

    All margins, and how they were measured, are in docs/explanation/audit.md.
    """
    paths = sorted([*emodb_root.glob("*.flac"), *emodb_root.rglob("*.wav")])
    waves = [read_waveform(path) for path in paths]
    fingerprints = np.stack([fingerprint(wave) for wave in waves])
    similarity = np.triu(fingerprints @ fingerprints.T, 1)
    assert similarity.max() < SIMILARITY_THRESHOLD - 0.01
    rows, columns = np.unravel_index(np.argsort(-similarity, axis=None)[:200], similarity.shape)
    matches = [
        match_waveforms(waves[row], waves[column])
        for row, column in zip(rows, columns, strict=True)
    ]
    assert max(match.correlation for match in matches) < CORRELATION_THRESHOLD - 0.15
    for name, copy in COPIES.items():
        for index in range(0, len(waves), 40):
            changed, case = copy(waves[index]), (name, paths[index])
            similarity = fingerprints[index] @ fingerprint(changed)
            assert similarity > SIMILARITY_THRESHOLD + 0.01, case
            match = match_waveforms(waves[index], changed)
            assert match.correlation > CORRELATION_THRESHOLD + 0.1, case
