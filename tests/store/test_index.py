"""Index of shards and reading of features by utterance key."""

from __future__ import annotations

import dataclasses
import errno
import os
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoscale.runtime.errors import StoreError
from emoscale.store import FeatureStore, ShardHeader, index_shards, write_shard
from emoscale.store.memory_budget import MemoryBudget
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
    assert np.array_equal(features.frames, expected)


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


def test_features_beyond_the_memory_budget_are_memory_mapped(tmp_path: Path) -> None:
    store = FeatureStore(write_store(tmp_path))
    files = sorted(tmp_path.iterdir())
    in_memory = store.load(KEYS)
    mapped = store.load(KEYS, MemoryBudget(memory_bytes=0, folder=tmp_path))
    assert isinstance(mapped.frames, np.memmap)
    assert not isinstance(in_memory.frames, np.memmap)
    np.testing.assert_array_equal(in_memory.frames, mapped.frames)
    assert sorted(tmp_path.iterdir()) == files


def test_a_full_disk_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", fail)
    with pytest.raises(StoreError, match=r"no space for 0\.0 GB .*No space left.* TMPDIR"):
        MemoryBudget(memory_bytes=0, folder=tmp_path).allocate((3, 2), np.dtype("float16"))
