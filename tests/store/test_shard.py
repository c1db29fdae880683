"""Feature shards: exact round trip, and refusal of invalid values and damaged files."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emoscale.runtime.errors import StoreError
from emoscale.store.shard import ShardHeader, read_header, read_shard, shard_digest
from emoscale.store.writer import write_shard

HEADER = ShardHeader('{"kind":"mfcc"}', 3, 100.0, "code", "rows")


def random_features(lengths: list[int], dtype: str, seed: int = 0) -> list[np.ndarray]:
    generator = np.random.default_rng(seed)
    scaled = [100 * generator.normal(size=(length, 3)) for length in lengths]
    return [array.astype(dtype) for array in scaled]


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    lengths=st.lists(st.integers(1, 50), max_size=8),
    dtype=st.sampled_from(["float16", "float32", "int16"]),
    keys=st.lists(
        st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=12),
        min_size=8,
        max_size=8,
        unique=True,
    ),
)
def test_round_trip_is_bit_exact(
    tmp_path: Path, lengths: list[int], dtype: str, keys: list[str]
) -> None:
    features = random_features(lengths, dtype)
    names = keys[: len(lengths)]
    path = tmp_path / "00.h5"
    write_shard(path, HEADER, names, features, dtype)
    contents = read_shard(path)
    assert read_header(path) == HEADER
    assert contents.utterances == names
    assert contents.frames.dtype == np.dtype(dtype)
    for index, array in enumerate(features):
        first, last = contents.offsets[index : index + 2]
        assert contents.frames[first:last].tobytes() == array.tobytes()


def test_a_rebuild_is_byte_identical_and_contiguous(tmp_path: Path) -> None:
    features = random_features([5, 7], "float16")
    for name in ("one.h5", "two.h5"):
        write_shard(tmp_path / name, HEADER, ["a", "b"], features, "float16")
    assert (tmp_path / "one.h5").read_bytes() == (tmp_path / "two.h5").read_bytes()
    assert shard_digest(tmp_path / "one.h5") == shard_digest(tmp_path / "two.h5")
    with h5py.File(tmp_path / "one.h5") as file:
        offset = file["frames"].id.get_offset()  # so the file can be memory-mapped
        assert file["frames"].chunks is None
    mapped = np.memmap(tmp_path / "one.h5", "float16", "r", offset, (12, 3))
    assert mapped.tobytes() == np.concatenate(features).tobytes()


@pytest.mark.parametrize(
    ("names", "features", "message"),
    [
        (["a", "a"], random_features([2, 2], "float16"), "duplicate utterance"),
        (["a", ""], random_features([2, 2], "float16"), "empty or contains a zero byte"),
        (["a"], [np.zeros((0, 3))], "a has features of shape"),
        (["a"], [np.zeros((2, 4))], "expected at least one frame of 3 values"),
        (["a"], [np.full((2, 3), np.nan)], "not finite"),
        (["a"], [np.full((2, 3), 1e6)], "not finite in float16"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_invalid_features_are_refused(
    tmp_path: Path, names: list[str], features: list[np.ndarray], message: str
) -> None:
    with pytest.raises(StoreError, match=message):
        write_shard(tmp_path / "00.h5", HEADER, names, features, "float16")
    assert list(tmp_path.iterdir()) == []


def test_a_shard_of_another_version_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "00.h5"
    write_shard(path, HEADER, ["a"], random_features([5], "float16"), "float16")
    monkeypatch.setattr("emoscale.store.shard.SCHEMA", "emoscale-features-0")
    with pytest.raises(StoreError, match="by another version of emoscale; remove the file and run"):
        read_header(path)


@pytest.mark.parametrize(
    ("representation", "frames", "hint"),
    [
        ('{"storage_dtype":"float16"}', np.full((2, 3), np.inf, np.float16), True),
        ('{"storage_dtype":"float16"}', np.full((2, 3), 1e6, np.float32), True),
        ('{"storage_dtype":"float16"}', np.full((2, 3), np.nan, np.float16), False),
        ('{"kind":"mfcc"}', np.full((2, 3), np.inf, np.float16), False),
    ],
    ids=["converted by the network", "converted here", "not a number", "no such setting"],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_the_hint_at_a_larger_type(
    tmp_path: Path, representation: str, frames: np.ndarray, hint: bool
) -> None:
    header = dataclasses.replace(HEADER, representation=representation)
    with pytest.raises(StoreError) as raised:
        write_shard(tmp_path / "00.h5", header, ["a"], [frames], "float16")
    assert str(raised.value).endswith("; set storage_dtype: float32") == hint


@pytest.mark.parametrize("dataset", ["frames", "offsets", "utterance"])
def test_one_changed_bit_is_detected(tmp_path: Path, dataset: str) -> None:
    path = tmp_path / "00.h5"
    write_shard(path, HEADER, ["a", "b"], random_features([5, 7], "float16"), "float16")
    with h5py.File(path) as file:
        offset = file[dataset].id.get_offset()
    content = bytearray(path.read_bytes())
    content[offset + 1] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(StoreError, match=f"{dataset} does not match its digest; remove the file"):
        read_shard(path)


def test_a_changed_byte_is_refused_or_without_effect(tmp_path: Path) -> None:
    path = tmp_path / "00.h5"
    features = random_features([3, 2], "float16")
    write_shard(path, HEADER, ["a", "b"], features, "float16")
    content, original = path.read_bytes(), read_shard(path)
    refused = 0
    for offset in range(0, len(content), 17):
        path.write_bytes(content[:offset] + bytes([content[offset] ^ 1]) + content[offset + 1 :])
        try:
            header, contents = read_header(path), read_shard(path)
        except StoreError:
            refused += 1
        else:  # a byte that HDF5 does not use
            assert header == HEADER
            assert contents.utterances == original.utterances
            assert contents.frames.dtype == original.frames.dtype
            assert contents.frames.tobytes() == original.frames.tobytes()
            assert contents.offsets.tolist() == original.offsets.tolist()
    assert refused > 30


def test_every_truncation_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "00.h5"
    write_shard(path, HEADER, ["a"], random_features([50], "float16"), "float16")
    content = path.read_bytes()
    for length in range(0, len(content), max(1, len(content) // 60)):
        path.write_bytes(content[:length])
        with pytest.raises(StoreError):
            read_shard(path)


def test_incomplete_foreign_and_missing_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "00.h5"
    with pytest.raises(StoreError, match="does not exist"):
        read_shard(path)
    write_shard(path, HEADER, ["a"], random_features([5], "float16"), "float16")
    with h5py.File(path, "a") as file:
        file.attrs["complete"] = False
    with pytest.raises(StoreError, match="not a complete feature shard"):
        read_shard(path)
    with h5py.File(path, "w") as file:
        file["frames"] = [1]
    with pytest.raises(StoreError, match="not a complete feature shard"):
        read_shard(path)
    path.write_bytes(b"something else")
    with pytest.raises(StoreError, match="is not HDF5"):
        read_shard(path)


def test_a_killed_writer_leaves_no_shard(tmp_path: Path) -> None:
    program = """
import os, sys, signal
import numpy as np
from emoscale.store.shard import ShardHeader
from emoscale.store.writer import write_shard
import emoscale.store.writer as writer
writer.verify_shard = lambda path: os.kill(os.getpid(), signal.SIGKILL)
write_shard(sys.argv[1], ShardHeader("{}", 3, None, "", ""), ["a"], [np.ones((4, 3))], "float16")
"""
    target = tmp_path / "00.h5"
    result = subprocess.run([sys.executable, "-c", program, str(target)])
    assert result.returncode == -signal.SIGKILL
    assert not target.exists()
    assert all(path.name.startswith(".") for path in tmp_path.iterdir())
