"""Whatever a shard or an index holds: the features that were written, or a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings

from emoscale.store import ShardHeader, read_header, read_shard, write_shard
from emoscale.store.index import FeatureStore, index_shards
from emoscale.store.shard import sha256_of, verify_shard
from tests.damage import damaged_bytes, is_read

KEYS = [f"u{number:02d}" for number in range(12)]


@pytest.fixture
def shard(tmp_path: Path) -> Path:
    """A shard with its index."""
    path = tmp_path / "00.h5"
    frames = [np.random.default_rng(place).normal(size=(5, 3)) for place in range(len(KEYS))]
    write_shard(path, ShardHeader('{"kind":"mfcc"}', 3, 100.0, "c", "s"), KEYS, frames, "float32")
    index_shards([path], tmp_path / "index.parquet")
    return path


def read(shard: Path) -> bytes:
    """Whatever programs do with a shard and its index; its frames."""
    read_header(shard)
    verify_shard(shard)
    read_shard(shard)
    store = FeatureStore(shard.with_name("index.parquet"))
    store.description()
    store.chunked(KEYS)
    index_shards([shard], shard.with_name("again.parquet"))
    return store.load(KEYS).frames.tobytes()


@pytest.mark.parametrize(("name", "examples"), [("00.h5", 150), ("index.parquet", 50)])
def test_damaged_bytes(shard: Path, name: str, examples: int) -> None:
    path, written = shard.with_name(name), read(shard)
    whole = path.read_bytes()

    @settings(max_examples=examples)
    @given(content=damaged_bytes(whole, 4096) | damaged_bytes(whole))
    def read_damaged(content: bytes) -> None:
        path.write_bytes(content)
        if is_read(path.parent, lambda: read(shard)):
            assert read(shard) == written

    read_damaged()


def elsewhere(file: h5py.File, name: str, old: Any) -> Any:
    """An array whose bytes lie in another file."""
    source = Path(file.filename).with_name("other.bin")
    source.write_bytes(old.tobytes())
    return file.create_dataset(name, old.shape, old.dtype, external=[(str(source), 0, old.nbytes)])


def virtual(file: h5py.File, name: str, old: Any) -> Any:
    """An array that is a view of another file's."""
    layout = h5py.VirtualLayout(old.shape, old.dtype)
    layout[...] = h5py.VirtualSource("other.h5", "x", old.shape)
    return file.create_virtual_dataset(name, layout)


def texts(file: h5py.File, name: str, old: Any) -> Any:
    """Texts of any length, in a heap that HDF5 can lose itself in."""
    return file.create_dataset(name, data=["x"] * len(old), dtype=h5py.string_dtype())


def packed(file: h5py.File, name: str, old: Any) -> Any:
    """Terabytes of zeros, which a few bytes promise."""
    return file.create_dataset(name, (1 << 40, *old.shape[1:]), old.dtype, compression="gzip")


OTHERS: dict[str, Callable[[h5py.File, str, Any], Any]] = {
    "a group": lambda file, name, old: file.create_group(name),
    "a link": lambda file, name, old: file.__setitem__(name, h5py.ExternalLink("/etc/passwd", "x")),
    "elsewhere": elsewhere,
    "virtual": virtual,
    "packed": packed,
    "texts": texts,
    "shorter": lambda file, name, old: file.create_dataset(name, data=old.reshape(-1)[:7]),
    "far": lambda file, name, old: file.create_dataset(name, data=np.full(old.shape, 1 << 30)),
    "bytes": lambda file, name, old: file.create_dataset(name, data=b"\xff\xfe"),
    "of three axes": lambda file, name, old: file.create_dataset(name, data=[[[1.5]]]),
}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("name", ["frames", "offsets", "utterance", "chunks"])
def test_another_array_under_a_right_digest(shard: Path, name: str, other: str) -> None:
    with h5py.File(shard, "r+") as file:
        old = file[name][()]
        del file[name]
        made = OTHERS[other](file, name, old)
        if isinstance(made, h5py.Dataset):
            plain = made.nbytes < 1 << 20 and not made.dtype.hasobject and not made.is_virtual
            made.attrs["sha256"] = np.bytes_(sha256_of(made[()] if plain else old).encode() + b".")
    refused = not is_read(shard.parent, lambda: read(shard))
    assert refused
