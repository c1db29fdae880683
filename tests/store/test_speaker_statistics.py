"""Mean and standard deviation of each speaker's frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emoscale.runtime.errors import StoreError
from emoscale.store.features import Features
from emoscale.store.index import FeatureStore, index_shards
from emoscale.store.shard import ShardHeader
from emoscale.store.speaker_statistics import (
    measure_speakers,
    read_speaker_statistics,
    speaker_statistics_path,
    write_speaker_statistics,
)
from emoscale.store.writer import write_shard

SPEAKER_OF = {f"u{number}": f"s{number % 2}" for number in range(6)}
LAYERS = (3, 7)


def write_store(folder: Path, shift: float = 0.0) -> dict[str, np.ndarray]:
    """Write random features of two layers in two shards, and return them by utterance."""
    random = np.random.default_rng(0)
    frames_of = {
        key: random.normal(100.0 + shift, 3.0, (2, int(random.integers(1, 9)), 3)).astype("float32")
        for key in SPEAKER_OF
    }
    header = ShardHeader('{"kind":"it"}', 3, 100.0, "code", "rows", layers=LAYERS)
    for shard in range(2):
        keys = list(SPEAKER_OF)[3 * shard : 3 * shard + 3]
        path = folder / f"{shard:02d}.h5"
        write_shard(path, header, keys, [frames_of[key] for key in keys], "float32")
    index_shards(sorted(folder.glob("*.h5")), folder / "index.parquet")
    return {key: frames.swapaxes(0, 1) for key, frames in frames_of.items()}


@pytest.mark.parametrize("layer", [None, *LAYERS])
def test_statistics_are_those_of_all_frames_of_a_speaker(tmp_path: Path, layer: int | None) -> None:
    frames_of = write_store(tmp_path)
    write_speaker_statistics(FeatureStore(tmp_path / "index.parquet"), SPEAKER_OF)
    statistics = read_speaker_statistics(FeatureStore(tmp_path / "index.parquet", layer))
    assert list(statistics.utterances) == ["s0", "s1"]
    for number, (speaker, keys) in enumerate(statistics.utterances.items()):
        assert sorted(keys) == [key for key, name in SPEAKER_OF.items() if name == speaker]
        frames = np.concatenate([frames_of[key] for key in keys]).astype(np.float64)
        if layer is not None:
            frames = frames[:, LAYERS.index(layer)]
        assert statistics.frames[number] == len(frames)
        np.testing.assert_allclose(statistics.mean[number], frames.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(statistics.std[number], frames.std(axis=0), rtol=1e-5)


@pytest.mark.parametrize("speaker_of", [{"u0": "s0"}, SPEAKER_OF | {"u4": ""}])
def test_an_unknown_speaker_is_an_error(tmp_path: Path, speaker_of: dict[str, str]) -> None:
    write_store(tmp_path)
    with pytest.raises(StoreError, match=r"the speaker of u\d is unknown, .* set training\.norm"):
        write_speaker_statistics(FeatureStore(tmp_path / "index.parquet"), speaker_of)


def test_statistics_of_other_features_are_an_error(tmp_path: Path) -> None:
    write_store(tmp_path)
    store = FeatureStore(tmp_path / "index.parquet")
    with pytest.raises(StoreError, match=r"speakers\.parquet does not exist; run the step"):
        read_speaker_statistics(store)
    write_speaker_statistics(store, SPEAKER_OF)
    write_store(tmp_path, shift=1.0)
    with pytest.raises(StoreError, match=r"speakers\.parquet: was computed from other features"):
        read_speaker_statistics(FeatureStore(tmp_path / "index.parquet"))
    assert speaker_statistics_path(store.path) == tmp_path / "speakers.parquet"


def test_an_utterance_without_frames_changes_nothing(tmp_path: Path) -> None:
    write_store(tmp_path)
    store = FeatureStore(tmp_path / "index.parquet")
    features = store.load(list(SPEAKER_OF))
    empty = Features.packed(np.empty((0, 2, 3), np.float32), np.zeros(1, dtype=np.int64))
    whole = measure_speakers([(list(SPEAKER_OF), features)], SPEAKER_OF)
    with_empty = measure_speakers(
        [(["empty"], empty), (list(SPEAKER_OF), features)], SPEAKER_OF | {"empty": "s0"}
    )
    np.testing.assert_array_equal(with_empty.mean, whole.mean)
    np.testing.assert_array_equal(with_empty.std, whole.std)
