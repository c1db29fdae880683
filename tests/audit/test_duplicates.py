"""Copies of a recording are detected after each modification; different recordings are not."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soxr

from emoscale.audio.decoding import read_waveform
from emoscale.audit.alignment import (
    CORRELATION_THRESHOLD,
    FRAME_CORRELATION_THRESHOLD,
    frame_correlation,
    match_waveforms,
)
from emoscale.audit.duplicates import (
    DUPLICATES,
    SIMILARITY_THRESHOLD,
    RecordingSet,
    duplicate_groups,
    find_duplicate_pairs,
    shared_recordings,
    similar_pairs,
)
from emoscale.audit.fingerprint import fingerprint
from emoscale.audit.measurement import find_corpus_duplicates, measure_shard
from emoscale.tables.parquet import write_table
from tests.audit.speech import (
    COPIES,
    RATE,
    Wave,
    recordings_of,
    speech,
    with_click,
    with_vowel,
    write_corpus,
)


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


@pytest.mark.parametrize("loud_sound", [with_click, with_vowel])
def test_one_loud_sound_makes_no_copies(
    tmp_path: Path, loud_sound: Callable[[Wave, int], Wave]
) -> None:
    """A click or a vowel of one pitch decides the correlation, but it is one frame of many."""
    waves = [loud_sound(speech(seed, 2.0), 4000 + 3000 * seed) for seed in range(3)]
    match = match_waveforms(waves[0], waves[1])
    assert match.correlation > CORRELATION_THRESHOLD
    assert fingerprint(waves[0]) @ fingerprint(waves[1]) > SIMILARITY_THRESHOLD
    assert abs(frame_correlation(waves[0], waves[1], match)) < 0.1
    rows = {f"other{number}": {"wave": wave} for number, wave in enumerate(waves)}
    quieter = {"quieter": {"wave": np.pad(0.5 * waves[0], (1600, 0))}}
    pairs = pairs_of(tmp_path, rows | quieter)
    assert pairs.select("utterance", "other").rows() == [("other0", "quieter")]


def test_frames_are_compared_at_a_lag_between_samples() -> None:
    half_a_sample = np.asarray(soxr.resample(speech(1), 1, 2)[1::2], np.float32)
    for copy in (half_a_sample, -half_a_sample):
        match = match_waveforms(speech(1), copy)
        assert frame_correlation(speech(1), copy, match) > 0.99


def test_noise_in_digital_silence_is_no_speech() -> None:
    """Codecs and dither fill digital silence with noise far below the speech."""
    spoken = speech(1, noise_db=-200.0)
    noises = 1e-5 * np.random.default_rng(1).normal(size=(2, 2 * RATE)).astype(np.float32)
    one, two = (np.concatenate([noise, spoken, np.zeros(RATE, np.float32)]) for noise in noises)
    assert frame_correlation(one, two, match_waveforms(one, two)) > 0.99


def test_too_few_frames_are_no_evidence() -> None:
    short = speech(1)[2000 : 2000 + 4 * 1024]
    assert frame_correlation(short, short, match_waveforms(short, short)) == 0.0


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
    pairs = sorted(map(tuple, similar_pairs(fingerprints).tolist()))
    assert pairs == [tuple(pair) for pair in expected.tolist()]
    assert {(3, 7), (3, 1500), (1500, 2099)} <= set(pairs)


def test_memory_does_not_grow_with_the_number_of_similar_pairs() -> None:
    """A corpus of single words has hundreds of thousands; 2 kB for each would be too much."""
    names = [f"{number:03d}" for number in range(130)]
    fingerprints = np.full((130, 16), 0.25, np.float32)
    silence = np.zeros(100, np.float32)

    def search(utterances: list[str]) -> pl.DataFrame:
        rows = fingerprints[: len(utterances)]
        return find_duplicate_pairs(utterances, utterances, rows, lambda name: silence, threads=2)

    search(names[:3])  # what is imported at the first call
    tracemalloc.start()
    pairs = search(names)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(similar_pairs(fingerprints)) == 8_385
    assert len(pairs) == 0
    assert peak_bytes < 6e6


def test_shared_recordings_do_not_depend_on_blocks() -> None:
    """Copies in several blocks, recordings that only resemble them, and identical samples."""
    generator = np.random.default_rng(6)
    fingerprints = generator.normal(size=(2, 2100, 64)).astype(np.float32)
    fingerprints[1, [3, 1500, 2099, 7]] = fingerprints[0, [1200, 2, 2098, 7]]
    fingerprints /= np.linalg.norm(fingerprints, axis=2, keepdims=True)
    waves = {(0, 1200): speech(1), (0, 2): speech(2), (0, 2098): speech(3), (0, 7): speech(4)}
    waves |= {(1, 3): 0.5 * speech(1), (1, 1500): speech(9), (1, 2099): -speech(3)}
    read_keys: set[tuple[int, int]] = set()

    def recordings(number: int, *identical: int) -> RecordingSet:
        def read(key: str) -> Wave:
            read_keys.add((number, int(key)))
            return waves[number, int(key)]

        names = [str(row) for row in range(2100)]
        digests = [row if int(row) in identical else f"{number}/{row}" for row in names]
        return RecordingSet(names, digests, fingerprints[number], read)

    first, second = recordings(0, 5, 7), recordings(1, 5, 7)
    expected = {"5", "7", "0/1200", "0/2098"}
    assert shared_recordings(first, second, threads=2) == expected
    assert read_keys == {*waves} - {(0, 7)}
    swapped = {"5", "7", "1/3", "1/2099"}
    assert shared_recordings(second, first) == swapped


def test_memory_of_shared_recordings_does_not_grow_with_the_similar_pairs() -> None:
    names = [f"{number:03d}" for number in range(100)]
    sets = [
        RecordingSet(
            names,
            [f"{number} {name}" for name in names],
            np.full((100, 16), 0.25, np.float32),
            lambda name: speech(1) if name == "099" else np.zeros(100, np.float32),
        )
        for number in range(2)
    ]
    shared_recordings(sets[0].select([0]), sets[1].select([0]))  # what is imported
    tracemalloc.start()
    assert shared_recordings(sets[0], sets[1], threads=2) == {"0 099"}
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 6e6


def test_margins_on_emodb(emodb_root: Path) -> None:
    """Acted speech: the same sentences by the same speakers are the hardest to distinguish.

    All margins, and how they were measured, are in docs/explanation/audit.md.
    """
    paths = sorted([*emodb_root.glob("*.flac"), *emodb_root.rglob("*.wav")])
    waves = [read_waveform(path) for path in paths]
    fingerprints = np.stack([fingerprint(wave) for wave in waves])
    similarity = np.triu(fingerprints @ fingerprints.T, 1)
    rows, columns = np.unravel_index(np.argsort(-similarity, axis=None)[:200], similarity.shape)
    for row, column in zip(rows, columns, strict=True):
        match = match_waveforms(waves[row], waves[column])
        frames = frame_correlation(waves[row], waves[column], match)
        assert frames < FRAME_CORRELATION_THRESHOLD - 0.4, (paths[row], paths[column])
    for name, copy in COPIES.items():
        for index in range(0, len(waves), 40):
            changed, case = copy(waves[index]), (name, paths[index])
            similarity = fingerprints[index] @ fingerprint(changed)
            assert similarity > SIMILARITY_THRESHOLD + 0.01, case
            match = match_waveforms(waves[index], changed)
            assert match.correlation > CORRELATION_THRESHOLD + 0.1, case
            frames = frame_correlation(waves[index], changed, match)
            assert frames > FRAME_CORRELATION_THRESHOLD + 0.1, case
