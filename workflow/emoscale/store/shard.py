"""One shard: an HDF5 file of ragged frames, flat and contiguous, with a digest a dataset.

    frames     [N, D]   all utterances' frames, one after the other
    offsets    [n + 1]  int64; utterance i has the frames offsets[i] to offsets[i + 1]
    utterance  [n]      keys, UTF-8 of fixed length
    codebook   [G, V, W]  only where frames are codes [N, G]: the vector of each group's code

Attributes of the file, as text: `schema`, those of `ShardHeader`, their digest `header_sha256`;
and `complete`, written last. The digests are computed before writing and compared with what is read
back, so neither a killed writer nor a changed value goes unseen. Equal contents give equal bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from emoscale.errors import StoreError
from emoscale.files import atomic_path

SCHEMA = "emoscale-features-1"
_DATASETS = ("frames", "offsets", "utterance")
_CODEBOOK = "codebook"


@dataclass(frozen=True)
class ShardHeader:
    """What a shard was made from."""

    representation: str
    """Canonical JSON of the representation's settings."""

    dimension: int
    """Values a frame, as it is read; of codes, the values of their vectors together."""

    frame_rate: float | None
    """Frames a second; None where frames are not equally spaced."""

    code_sha256: str
    """Digest of the code that extracted it."""

    shard_sha256: str
    """Digest of the rows of the corpus shard that it was made from."""

    checkpoint_sha256: str = ""
    """Digest of the pre-trained weights; empty without any."""


@dataclass(frozen=True)
class ShardContents:
    """The arrays of a shard."""

    frames: NDArray[np.generic]
    """[N, dimension], or codes [N, groups]"""

    offsets: NDArray[np.int64]
    """[n + 1]"""

    utterances: list[str]
    """[n]"""

    codebook: NDArray[np.float32] | None = None
    """[groups, codes, width] where the frames are codes"""


def write_shard(
    path: Path | str,
    header: ShardHeader,
    utterances: Sequence[str],
    features: Sequence[NDArray[np.generic]],
    dtype: str,
    codebook: NDArray[np.float32] | None = None,
) -> None:
    """Write a shard, verify what is on disk, and only then give it its name.

    `features[i]` is [T_i, dimension] with T_i of at least 1, or codes [T_i, groups] of `codebook`
    [groups, codes, width]. Raises `StoreError` where an array does not fit, has a value that is
    not finite (in the stored type), or a key stands twice.
    """
    keys = _fixed_length_keys(path, utterances)
    columns = header.dimension if codebook is None else len(codebook)
    stored = [
        _checked(array, columns, np.dtype(dtype), name, path)
        for name, array in zip(utterances, features, strict=True)
    ]
    lengths = [len(array) for array in stored]
    contents: dict[str, NDArray[np.generic]] = {
        "frames": np.concatenate([np.empty((0, columns), dtype), *stored]),
        "offsets": np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        "utterance": keys,
    }
    if codebook is not None:
        contents[_CODEBOOK] = _checked_codebook(codebook, contents["frames"], header, path)
    with atomic_path(path) as temporary:
        with h5py.File(temporary, "w") as file:
            for name, array in contents.items():
                dataset = file.create_dataset(name, data=array)
                dataset.attrs["sha256"] = np.bytes_(_sha256(array).encode())
            # Bytes of fixed length: strings of variable length lie in a heap that HDF5 does not
            # check, and a damaged one can hang the reader.
            for name, text in _texts_of(header).items():
                file.attrs[name] = np.bytes_(text.encode())
            file.attrs["complete"] = True
        read_shard(temporary)


def read_header(path: Path | str) -> ShardHeader:
    """What a shard was made from; raises `StoreError` where it is damaged or incomplete."""
    with _open(path) as file:
        return _header(file)


def read_shard(path: Path | str) -> ShardContents:
    """All arrays of a shard; raises `StoreError` where they differ from their digests."""
    arrays: dict[str, NDArray[np.generic]] = {}
    with _open(path) as file:
        for name in _names_of(file):
            arrays[name] = file[name][()]
            if _sha256(arrays[name]) != _text(file[name].attrs["sha256"]):
                raise StoreError(f"{path}: {name} is not what was written; {_WAY_OUT}")
    keys = [bytes(key).rstrip(b"\0").decode() for key in arrays["utterance"]]
    codebook = arrays.get(_CODEBOOK)
    return ShardContents(
        arrays["frames"],
        arrays["offsets"].astype(np.int64),
        keys,
        None if codebook is None else codebook.astype(np.float32),
    )


def shard_digest(path: Path | str) -> str:
    """One digest for a shard's content and origin."""
    with _open(path) as file:
        parts = [_text(file[name].attrs["sha256"]) for name in _names_of(file)]
        parts.append(_text(file.attrs["header_sha256"]))
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


_WAY_OUT = "remove the file and run again"


@contextlib.contextmanager
def _open(path: Path | str) -> Iterator[h5py.File]:
    """A complete shard, open for reading; whatever HDF5 finds damaged becomes a `StoreError`."""
    if not Path(path).exists():
        raise StoreError(f"{path} does not exist; run the step that makes it")
    try:
        # A finished shard is never written again, so no lock is needed (and NFS may have none).
        with h5py.File(path, "r", locking=False) as file:
            if not file.attrs.get("complete", False) or _text(file.attrs["schema"]) != SCHEMA:
                raise StoreError(f"{path}: is not a complete feature shard; {_WAY_OUT}")
            yield file
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, MemoryError) as error:
        raise StoreError(f"{path}: is no HDF5 file or damaged ({error}); {_WAY_OUT}") from None


def _texts_of(header: ShardHeader) -> dict[str, str]:
    """The header's attributes as they are stored, and their digest."""
    texts = {name: str(value) for name, value in asdict(header).items()}
    texts = {"schema": SCHEMA, **texts}
    digest = hashlib.sha256("\n".join(f"{k} {v}" for k, v in texts.items()).encode())
    # A trailing mark, because HDF5 cannot store a text without bytes.
    return {name: value + "." for name, value in texts.items()} | {
        "header_sha256": digest.hexdigest() + "."
    }


def _header(file: h5py.File) -> ShardHeader:
    texts = {name: _text(file.attrs[name]) for name in ("schema", *ShardHeader.__annotations__)}
    rate = texts["frame_rate"]
    header = ShardHeader(
        representation=texts["representation"],
        dimension=int(texts["dimension"]),
        frame_rate=None if rate == "None" else float(rate),
        code_sha256=texts["code_sha256"],
        shard_sha256=texts["shard_sha256"],
        checkpoint_sha256=texts["checkpoint_sha256"],
    )
    if _texts_of(header)["header_sha256"] != _text(file.attrs["header_sha256"]) + ".":
        raise ValueError("its attributes are not what was written")
    return header


def _text(value: Any) -> str:
    return bytes(value).decode().removesuffix(".")


def _names_of(file: h5py.File) -> tuple[str, ...]:
    return (*_DATASETS, _CODEBOOK) if _CODEBOOK in file else _DATASETS


def _sha256(array: NDArray[np.generic]) -> str:
    """Of type and shape too: the same bytes can be read as other numbers."""
    state = hashlib.sha256(f"{array.dtype.str} {array.shape} ".encode())
    state.update(np.ascontiguousarray(array).data)
    return state.hexdigest()


def _fixed_length_keys(path: Path | str, utterances: Sequence[str]) -> NDArray[np.bytes_]:
    encoded = [key.encode() for key in utterances]
    if len(set(encoded)) < len(encoded):
        raise StoreError(f"{path}: an utterance stands twice")
    if any(not key or b"\0" in key for key in encoded):
        raise StoreError(f"{path}: an utterance key is empty or holds a zero byte")
    longest = max((len(key) for key in encoded), default=1)
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", longest))


def _checked_codebook(
    codebook: NDArray[np.float32],
    codes: NDArray[np.generic],
    header: ShardHeader,
    path: Path | str,
) -> NDArray[np.generic]:
    groups, size, width = codebook.shape
    if groups * width != header.dimension:
        raise StoreError(f"{path}: {groups} groups of {width} values are not {header.dimension}")
    if codes.size and not 0 <= int(codes.min()) <= int(codes.max()) < size:
        raise StoreError(f"{path}: a code is not one of the codebook's {size}")
    if not np.isfinite(codebook).all():
        raise StoreError(f"{path}: the codebook has a value that is not finite")
    return np.ascontiguousarray(codebook, dtype=np.float32)


def _checked(
    array: NDArray[np.generic], dimension: int, dtype: np.dtype, name: str, path: Path | str
) -> NDArray[np.generic]:
    if array.ndim != 2 or array.shape[1] != dimension or not len(array):
        raise StoreError(
            f"{path}: {name} has features of shape {array.shape}; expected at least one frame of "
            f"{dimension} values"
        )
    stored = array.astype(dtype, copy=False)
    if np.issubdtype(dtype, np.floating) and not np.isfinite(stored).all():
        raise StoreError(f"{path}: {name} has a value that is not finite in {dtype}")
    return stored
