"""Index of shards and reading of features by utterance key."""

from __future__ import annotations

import dataclasses
import os
import re
import resource
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoscale.runtime.errors import StoreError
from emoscale.store.index import FeatureStore, index_shards
from emoscale.store.shard import ShardHeader
from emoscale.store.writer import write_shard
from emoscale.tables.parquet import read_metadata, read_table, write_table
from emoscale.tables.schemas import FEATURE_INDEX

HEADER = ShardHeader('{"kind":"mfcc"}', 2, 100.0, "code", "rows")
KEYS = [f"u{number}" for number in range(9)]


def create_frames(key: str) -> np.ndarray:
    number = int(key[1:])
    return np.full((number + 1, 2), number, dtype=np.float16)


def write_store(folder: Path) -> Path:
    for shard in range(3):
        keys = KEYS[shard::3]
        write_shard(
            folder / f"{shard:02d}.h5",
            HEADER,
            keys,
            [create_frames(key) for key in keys],
            "float16",
        )
    index_shards(sorted(folder.glob("*.h5")), folder / "index.parquet")
    return folder / "index.parquet"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    return FeatureStore(write_store(tmp_path_factory.mktemp("mfcc")))


@given(st.lists(st.sampled_from(KEYS)))
def test_features_are_read_by_key_in_any_order(store: FeatureStore, keys: list[str]) -> None:
    features = store.load(keys)
    assert features.lengths.tolist() == [int(key[1:]) + 1 for key in keys]
    expected = np.concatenate([np.empty((0, 2), np.float16), *(create_frames(key) for key in keys)])
    assert np.array_equal(features.gather(range(len(keys))), expected)


def test_attributes_of_the_store(store: FeatureStore) -> None:
    assert (store.dimension, store.frame_rate, len(store.sha256)) == (2, 100.0, 64)


def test_a_missing_utterance_is_named(store: FeatureStore) -> None:
    with pytest.raises(StoreError, match="no features of x1 and 1 others"):
        store.load(["u0", "x1", "x2"])


def test_a_shard_that_changed_after_indexing_is_refused(tmp_path: Path) -> None:
    index = write_store(tmp_path)
    write_shard(tmp_path / "01.h5", HEADER, ["u1"], [np.ones((2, 2))], "float16")
    store = FeatureStore(index)
    assert store.load(["u0"]).lengths.tolist() == [1]
    with pytest.raises(StoreError, match=r"01\.h5: is not the shard that was indexed"):
        store.load(["u1"])


def test_shards_of_different_code_are_refused(tmp_path: Path) -> None:
    write_store(tmp_path)
    other = dataclasses.replace(HEADER, code_sha256="newer")
    write_shard(tmp_path / "01.h5", other, ["u1"], [np.ones((2, 2))], "float16")
    with pytest.raises(StoreError, match=r"01\.h5 was extracted with other settings"):
        index_shards(sorted(tmp_path.glob("*.h5")), tmp_path / "index.parquet")


def test_shards_of_different_packages_are_refused(tmp_path: Path) -> None:
    """A recording that is added after an upgrade must not be read by another version."""
    write_store(tmp_path)
    shards = sorted(tmp_path.glob("*.h5"))
    for number, path in enumerate(shards):
        versions = f'{{"torch":"{"2.13.0" if number == 1 else "2.12.1"}"}}'
        header = dataclasses.replace(HEADER, versions=versions)
        write_shard(path, header, [f"u{number}"], [np.ones((2, 2))], "float16")
    message = (
        f"{tmp_path}: different versions of packages extracted 00.h5, 02.h5 with torch 2.12.1, "
        "and 01.h5 with torch 2.13.0; remove the shards of all but the installed version, and run "
        "again"
    )
    with pytest.raises(StoreError, match=f"^{re.escape(message)}$"):
        index_shards(shards, tmp_path / "index.parquet")
    index_shards(shards[1:2], tmp_path / "index.parquet")
    assert FeatureStore(tmp_path / "index.parquet").versions == {"torch": "2.13.0"}


def test_an_index_without_versions_is_refused(tmp_path: Path) -> None:
    index = write_store(tmp_path)
    metadata = read_metadata(index)
    older = {key: metadata[key] for key in ("shards", "features_sha256", "dimension")}
    write_table(read_table(index, FEATURE_INDEX), index, FEATURE_INDEX, older)
    with pytest.raises(StoreError, match="by another version of emoscale; remove the file and run"):
        FeatureStore(index)


def test_an_utterance_in_two_shards_is_refused(tmp_path: Path) -> None:
    write_store(tmp_path)
    write_shard(tmp_path / "03.h5", HEADER, ["u1"], [np.ones((2, 2))], "float16")
    with pytest.raises(StoreError, match="u1 is in two shards"):
        index_shards(sorted(tmp_path.glob("*.h5")), tmp_path / "index.parquet")


def write_large_shard(folder: Path, layers: tuple[int, ...], groups: int = 0) -> Path:
    """Write a shard of 100 utterances of 50 frames of 64 values, in layers or as codes."""
    random = np.random.default_rng(0)
    header = dataclasses.replace(HEADER, dimension=64, layers=layers)
    keys = [f"u{number}" for number in range(100)]
    if groups:
        codebook = random.normal(size=(groups, 32, 64 // groups)).astype(np.float32)
        codes = [random.integers(0, 32, (50, groups)) for _ in keys]
        write_shard(folder / "00.h5", header, keys, codes, "int16", codebook)
    else:
        frames = [random.normal(size=(len(layers), 50, 64)) for _ in keys]
        write_shard(folder / "00.h5", header, keys, frames, "float16")
    index_shards([folder / "00.h5"], folder / "index.parquet")
    return folder / "index.parquet"


@pytest.mark.parametrize(("layers", "groups"), [((3, 4, 7), 0), ((), 2)])
def test_reading_an_utterance_needs_the_memory_of_one_utterance(
    tmp_path: Path, layers: tuple[int, ...], groups: int
) -> None:
    store = FeatureStore(write_large_shard(tmp_path, layers, groups))
    store.load(["u0"])  # libraries allocate caches once
    tracemalloc.start()
    try:
        frames = store.load(["u42"]).gather([0])
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    shard_bytes = 100 * frames.nbytes
    assert peak < shard_bytes / 5


def test_layers_are_read_in_their_order(tmp_path: Path) -> None:
    index = write_large_shard(tmp_path, (3, 4, 7))
    features = FeatureStore(index).load(["u7", "u3"])
    frames = features.gather([1, 0])
    assert features.frame_shape == (3, 64)
    assert frames.shape == (100, 3, 64)
    for number, layer in enumerate((3, 4, 7)):
        single = FeatureStore(index, layer).load(["u3", "u7"]).gather([0, 1])
        assert np.array_equal(frames[:, number], single)


def test_more_shards_than_a_process_may_open_by_default(tmp_path: Path) -> None:
    keys = [f"u{number}" for number in range(40)]
    for number, key in enumerate(keys):
        write_shard(tmp_path / f"{number:02d}.h5", HEADER, [key], [create_frames(key)], "float16")
    index_shards(sorted(tmp_path.glob("*.h5")), tmp_path / "index.parquet")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    open_files = len(list(Path("/dev/fd").iterdir()))
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_files + 20, limits[1]))
    try:
        features = FeatureStore(tmp_path / "index.parquet").load(keys)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert len(features.gather(range(40))) == sum(range(41))


def test_each_shard_is_one_open_file(tmp_path: Path) -> None:
    store = FeatureStore(write_large_shard(tmp_path, tuple(range(24))))
    before = len(list(Path("/dev/fd").iterdir()))
    features = store.load(["u1", "u2"])
    assert len(list(Path("/dev/fd").iterdir())) - before <= 1
    assert features.lengths.tolist() == [50, 50]


def test_features_in_memory_outlive_their_shards(tmp_path: Path) -> None:
    store = FeatureStore(write_large_shard(tmp_path, (0, 1)))
    mapped = store.load(["u5", "u6"])
    copied, expected = mapped.in_memory(), mapped.gather([1, 0])
    with open(tmp_path / "00.h5", "r+b") as shard:
        shard.write(bytes(os.path.getsize(shard.name)))
    assert np.array_equal(copied.gather([1, 0]), expected)
    assert not mapped.gather([1, 0]).any()
