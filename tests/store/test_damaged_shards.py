"""Damaged shards and indices: the features as written, or an error message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings

from emoscale.store.index import FeatureStore, index_shards
from emoscale.store.shard import ShardHeader, array_sha256, read_header, read_shard, verify_shard
from emoscale.store.writer import write_shard
from tests.damage import check_reading, damaged_bytes

KEYS = [f"u{number:02d}" for number in range(12)]


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """Write a shard with its index."""
    path = tmp_path / "00.h5"
    frames = [np.random.default_rng(seed).normal(size=(5, 3)) for seed in range(len(KEYS))]
    write_shard(path, ShardHeader('{"kind":"mfcc"}', 3, 100.0, "c", "s"), KEYS, frames, "float32")
    index_shards([path], tmp_path / "index.parquet")
    return path


def read(shard: Path) -> bytes:
    """Read a shard and its index in all ways that programs do; return the frames."""
    read_header(shard)
    verify_shard(shard)
    read_shard(shard)
    store = FeatureStore(shard.with_name("index.parquet"))
    store.description()
    store.count_chunked(KEYS)
    index_shards([shard], shard.with_name("again.parquet"))
    return store.load(KEYS).gather(range(len(KEYS))).tobytes()


@pytest.mark.parametrize(("name", "examples"), [("00.h5", 150), ("index.parquet", 50)])
def test_damaged_bytes(shard: Path, name: str, examples: int) -> None:
    path, expected = shard.with_name(name), read(shard)
    original = path.read_bytes()

    @settings(max_examples=examples)
    @given(content=damaged_bytes(original, 4096) | damaged_bytes(original))
    def read_damaged(content: bytes) -> None:
        path.write_bytes(content)
        if check_reading(path.parent, lambda: read(shard)):
            assert read(shard) == expected

    read_damaged()


def external_dataset(file: h5py.File, name: str, old: Any) -> Any:
    """Create a dataset whose bytes are in another file."""
    source = Path(file.filename).with_name("other.bin")
    source.write_bytes(old.tobytes())
    return file.create_dataset(name, old.shape, old.dtype, external=[(str(source), 0, old.nbytes)])


def virtual_dataset(file: h5py.File, name: str, old: Any) -> Any:
    """Create a virtual dataset of another file."""
    layout = h5py.VirtualLayout(old.shape, old.dtype)
    layout[...] = h5py.VirtualSource("other.h5", "x", old.shape)
    return file.create_virtual_dataset(name, layout)


def variable_length_strings(file: h5py.File, name: str, old: Any) -> Any:
    """Create strings of variable length, in a heap in which HDF5 may hang."""
    return file.create_dataset(name, data=["x"] * len(old), dtype=h5py.string_dtype())


def compressed_dataset(file: h5py.File, name: str, old: Any) -> Any:
    """Create terabytes of zeros, compressed to a few bytes."""
    return file.create_dataset(name, (1 << 40, *old.shape[1:]), old.dtype, compression="gzip")


REPLACEMENTS: dict[str, Callable[[h5py.File, str, Any], Any]] = {
    "a group": lambda file, name, old: file.create_group(name),
    "a link": lambda file, name, old: file.__setitem__(name, h5py.ExternalLink("/etc/passwd", "x")),
    "external": external_dataset,
    "virtual": virtual_dataset,
    "compressed": compressed_dataset,
    "strings": variable_length_strings,
    "shorter": lambda file, name, old: file.create_dataset(name, data=old.reshape(-1)[:7]),
    "large values": lambda file, name, old: file.create_dataset(
        name, data=np.full(old.shape, 1 << 30)
    ),
    "bytes": lambda file, name, old: file.create_dataset(name, data=b"\xff\xfe"),
    "three axes": lambda file, name, old: file.create_dataset(name, data=[[[1.5]]]),
}


@pytest.mark.parametrize("replacement", REPLACEMENTS)
@pytest.mark.parametrize("name", ["frames", "offsets", "utterance", "chunks"])
def test_a_replaced_dataset_with_a_matching_digest_is_refused(
    shard: Path, name: str, replacement: str
) -> None:
    with h5py.File(shard, "r+") as file:
        old = file[name][()]
        del file[name]
        dataset = REPLACEMENTS[replacement](file, name, old)
        if isinstance(dataset, h5py.Dataset):
            readable = (
                dataset.nbytes < 1 << 20 and not dataset.dtype.hasobject and not dataset.is_virtual
            )
            content = dataset[()] if readable else old
            dataset.attrs["sha256"] = np.bytes_(array_sha256(content).encode() + b".")
    refused = not check_reading(shard.parent, lambda: read(shard))
    assert refused
