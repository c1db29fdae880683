"""One recording under two keys is found, whatever became of the copy; different ones are not."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from emoscale.audio.decoding import read_waveform
from emoscale.audit.fingerprint import fingerprint
from emoscale.audit.measuring import find_pairs, measure_shard
from emoscale.audit.same_recordings import (
    DUPLICATES,
    SAME,
    SIMILAR,
    duplicate_groups,
    match,
    similar_pairs,
)
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
    return find_pairs(recordings, measure_shard(recordings, root, threads), root, threads)


@pytest.mark.parametrize("copy", COPIES)
def test_a_copy_is_found_among_others(tmp_path: Path, copy: str) -> None:
    others = {f"other{number}": {"wave": speech(number)} for number in range(2, 6)}
    waves = {"one": {"wave": speech(1)}, "two": {"wave": COPIES[copy](speech(1))}, **others}
    found = pairs_of(tmp_path, waves)
    assert found.select("utterance", "other", "match").rows() == [("one", "two", "near")]


def test_what_became_of_the_copy_is_measured(tmp_path: Path) -> None:
    later = np.pad(0.5 * speech(1), (1600, 0))
    (row,) = pairs_of(tmp_path, {"one": {"wave": speech(1)}, "two": {"wave": later}}).to_dicts()
    assert row["gain_db"] == pytest.approx(-6.02, abs=0.01)
    assert row["lag_seconds"] == pytest.approx(0.1, abs=1e-4)
    assert row["correlation"] > 0.999


def test_identical_samples_in_other_containers(tmp_path: Path) -> None:
    found = pairs_of(tmp_path, {"one": {"wave": speech(1)}, "two": {"wave": speech(1)}})
    assert found.select("utterance", "other", "match", "correlation").rows() == [
        ("one", "two", "identical", 1.0)
    ]


def test_another_rate_and_24_bits(tmp_path: Path) -> None:
    found = pairs_of(
        tmp_path,
        {
            "one": {"wave": speech(1)},
            "three": {"wave": speech(1), "rate": 48_000},
            "two": {"wave": speech(1), "subtype": "PCM_24"},
        },
        threads=2,
    )
    assert found.select("utterance", "other").rows() == [
        ("one", "three"),
        ("one", "two"),
        ("three", "two"),
    ]
    groups = duplicate_groups(found)
    assert groups["group"].to_list() == ["one"] * 3
    write_table(groups, tmp_path / "duplicates.parquet", DUPLICATES)


def test_nothing_but_a_hum_is_like_nothing() -> None:
    hum = np.sin(2 * np.pi * 50 * np.arange(RATE) / RATE).astype(np.float32)
    assert fingerprint(np.zeros(RATE, np.float32)).sum() == 0
    assert match(np.zeros(RATE, np.float32), hum).correlation == 0
    noisy = [0.3 * hum + speech(seed, 1.0) for seed in (1, 2)]
    assert match(*noisy).correlation < 0.5


def test_the_correlation_of_a_noisy_copy_is_what_theory_says() -> None:
    """√(r / (1 + r)) of a power ratio r, within the band that is looked at."""
    generator = np.random.default_rng(3)
    one, noise = generator.normal(size=(2, 4 * RATE)).astype(np.float32)
    assert match(one, one + noise).correlation == pytest.approx(np.sqrt(1 / 2), abs=0.01)


def test_groups_are_of_all_that_hang_together() -> None:
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


def test_similar_pairs_in_blocks_are_those_of_the_whole_table() -> None:
    generator = np.random.default_rng(5)
    prints = generator.normal(size=(2100, 16)).astype(np.float32)
    prints[[7, 1500, 2099]] = prints[3]
    prints /= np.linalg.norm(prints, axis=1, keepdims=True)
    wanted = np.argwhere(np.triu(prints @ prints.T >= SIMILAR, 1))
    assert sorted(similar_pairs(prints)) == [tuple(pair) for pair in wanted.tolist()]
    assert {(3, 7), (3, 1500), (1500, 2099)} <= set(similar_pairs(prints))


def test_the_margins_on_emodb(emodb_root: Path) -> None:
    """Acted speech, the same sentences by the same speakers: the hardest not to confuse.

    All margins, and how they were measured, are in docs/audit.md.
    """
    paths = sorted([*emodb_root.glob("*.flac"), *emodb_root.rglob("*.wav")])
    waves = [read_waveform(path) for path in paths]
    prints = np.stack([fingerprint(wave) for wave in waves])
    similarity = np.triu(prints @ prints.T, 1)
    assert similarity.max() < SIMILAR - 0.01
    rows, columns = np.unravel_index(np.argsort(-similarity, axis=None)[:200], similarity.shape)
    between = [match(waves[row], waves[column]) for row, column in zip(rows, columns, strict=True)]
    assert max(found.correlation for found in between) < SAME - 0.15
    for name, copy in COPIES.items():
        for place in range(0, len(waves), 40):
            changed = copy(waves[place])
            assert prints[place] @ fingerprint(changed) > SIMILAR + 0.01, (name, paths[place])
            assert match(waves[place], changed).correlation > SAME + 0.1, (name, paths[place])
