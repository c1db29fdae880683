"""One shard: an HDF5 file of ragged frames, flat and contiguous, with a digest a dataset.

    frames      [N, D]   all utterances' frames, one after the other; of a layered representation
                         there is `layer_<number>` [N, D] for each layer instead
    offsets     [n + 1]  int64; utterance i has the frames offsets[i] to offsets[i + 1]
    utterance   [n]      keys, UTF-8 of fixed length
    windows     [n]      int32; parts that the utterance was computed in
    codebook    [G, V, W]  only where frames are codes [N, G]: the vector of each group's code
    characters  [N, 2]   only of text, int32: where each token stands in the transcript
    seconds     [N, 2]   only of text, float64: when it is spoken; NaN where that is unknown

Attributes of the file, as text: `schema`, those of `ShardHeader`, their digest `header_sha256`;
and `complete`, written last. The digests are computed before writing and compared with what is read
back, so neither a killed writer nor a changed value goes unseen. Equal contents give equal bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from emoscale.runtime.errors import DamagedFileError, StoreError
from emoscale.runtime.memory import FEWER_AT_ONCE

SCHEMA = "emoscale-features-2"
CODEBOOK, CHARACTERS, SECONDS = "codebook", "characters", "seconds"
_ALWAYS = ("offsets", "utterance", "chunks")
_SOMETIMES = (CODEBOOK, CHARACTERS, SECONDS)
_BLOCK_BYTES = 1 << 26
_DAMAGE = (
    ArithmeticError,
    AttributeError,
    IndexError,
    KeyError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What h5py and numpy raise where a file is not what it says."""


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

    layers: tuple[int, ...] = ()
    """Numbers of the hidden states that it holds; empty where the representation has no layers."""

    pretrained_weights: str = ""
    """Where the pre-trained weights come from, in a phrase; empty without any."""

    def datasets_of_frames(self) -> dict[str, int | None]:
        """Names of the datasets of frames, with the layer of each."""
        return {f"layer_{layer}": layer for layer in self.layers} or {"frames": None}


@dataclass(frozen=True)
class ShardContents:
    """The arrays of a shard, or of one layer of it."""

    frames: NDArray[np.generic]
    """[N, dimension], or codes [N, groups]"""

    offsets: NDArray[np.int64]
    """[n + 1]"""

    utterances: list[str]
    """[n]"""

    chunks: NDArray[np.int32]
    """[n] parts that each utterance was computed in"""

    codebook: NDArray[np.float32] | None = None
    """[groups, codes, width] where the frames are codes"""

    characters: NDArray[np.int32] | None = None
    """[N, 2] of text"""

    seconds: NDArray[np.float64] | None = None
    """[N, 2] of text"""


def read_header(path: Path | str) -> ShardHeader:
    """What a shard was made from; raises `StoreError` where it is damaged or incomplete."""
    with _open(path) as file:
        return _header(file)


def read_shard(path: Path | str, layer: int | None = None) -> ShardContents:
    """The arrays of a shard; of a layered one, of one layer (see `ShardHeader.layers`).

    Frames are mapped from the file, read-only. Raises `StoreError` where an array differs from its
    digest, or the layer is not there.
    """
    with _open(path) as file:
        name = _dataset_of(_header(file), layer, path)
        present = [*_ALWAYS, name, *(other for other in _SOMETIMES if other in file)]
        arrays: dict[str, Any] = {
            other: _mapped(path, file[other]) if other == name else file[other][()]
            for other in present
        }
        for other, array in arrays.items():
            if sha256_of(array) != _text(file[other].attrs["sha256"]):
                raise _damaged(path, f"{other} is not what was written")
        _check_places(name, arrays)
        codebook = arrays.get(CODEBOOK)
        return ShardContents(
            arrays[name],
            arrays["offsets"].astype(np.int64),
            _keys(arrays["utterance"]),
            arrays["chunks"],
            None if codebook is None else codebook.astype(np.float32),
            arrays.get(CHARACTERS),
            arrays.get(SECONDS),
        )


@dataclass(frozen=True)
class ShardRows:
    """What a shard holds of each utterance, without its frames."""

    utterances: list[str]
    """[n]"""

    frames: NDArray[np.int64]
    """[n] number of frames"""

    chunks: NDArray[np.int32]
    """[n] parts that it was computed in"""


def verify_shard(path: Path | str) -> ShardRows:
    """Compare every dataset with its digest, block by block; raises `StoreError`."""
    with _open(path) as file:
        for name in _names_of(file):
            if _sha256_in_blocks(file[name]) != _text(file[name].attrs["sha256"]):
                raise _damaged(path, f"{name} is not what was written")
        rows = {each: file[each][()] for each in _ALWAYS}
        for name in _header(file).datasets_of_frames():
            _check_places(name, rows | {name: np.broadcast_to(np.int8(0), file[name].shape)})
        return ShardRows(_keys(rows["utterance"]), np.diff(rows["offsets"]), rows["chunks"])


def shard_digest(path: Path | str) -> str:
    """One digest for a shard's content and origin."""
    with _open(path) as file:
        parts = [_text(file[name].attrs["sha256"]) for name in _names_of(file)]
        parts.append(_text(file.attrs["header_sha256"]))
    return hashlib.sha256(" ".join(parts).encode()).hexdigest()


def texts_of(header: ShardHeader) -> dict[str, str]:
    """The header's attributes as they are stored, and their digest."""
    texts = {name: str(value) for name, value in asdict(header).items()}
    texts = {"schema": SCHEMA, **texts, "layers": json.dumps(header.layers)}
    digest = hashlib.sha256("\n".join(f"{k} {v}" for k, v in texts.items()).encode())
    # A trailing mark, because HDF5 cannot store a text without bytes.
    return {name: value + "." for name, value in texts.items()} | {
        "header_sha256": digest.hexdigest() + "."
    }


def digest_state(dtype: np.dtype, shape: tuple[int, ...]) -> Any:
    """The beginning of a dataset's digest: the same bytes can be read as other numbers."""
    return hashlib.sha256(f"{dtype.str} {shape} ".encode())


def sha256_of(array: NDArray[np.generic]) -> str:
    """A dataset's digest."""
    state = digest_state(array.dtype, array.shape)
    state.update(np.ascontiguousarray(array).data)
    return str(state.hexdigest())


@contextlib.contextmanager
def _open(path: Path | str) -> Iterator[h5py.File]:
    """A complete shard, open for reading; whatever HDF5 finds damaged becomes a `StoreError`."""
    if not Path(path).exists():
        raise StoreError(f"{path} does not exist; run the step that makes it")
    try:
        # A finished shard is never written again, so no lock is needed (and NFS may have none).
        with h5py.File(path, "r", locking=False) as file:
            if not file.attrs.get("complete", False) or _text(file.attrs["schema"]) != SCHEMA:
                raise _damaged(path, "is not a complete feature shard")
            _check_datasets(file, os.path.getsize(path))
            yield file
    except _DAMAGE as error:
        if isinstance(error, MemoryError):  # arrays are no larger than the file: it may be whole
            raise StoreError(
                f"{path}: memory ran out while it was read ({error}); {FEWER_AT_ONCE}; where there "
                "is plenty, it is damaged: remove it and run again"
            ) from None
        if isinstance(error, OSError) and error.errno is not None:
            raise StoreError(
                f"{path} cannot be read ({error.strerror or error}); mend that and run again"
            ) from None
        raise _damaged(path, f"is no HDF5 file or damaged ({error})") from None


def _damaged(path: Path | str, detail: str) -> DamagedFileError:
    return DamagedFileError(path, detail)


def _check_datasets(file: h5py.File, size: int) -> None:
    """Raise `ValueError` where an array lies in another file, or is larger than this one.

    HDF5 would follow links to any file, and make zeros, or unpack, what a few bytes promise.
    """
    for name in file:
        dataset = file[name] if isinstance(file.get(name, getlink=True), h5py.HardLink) else None
        if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
            raise ValueError(f"{name} is no array in this file")
        if dataset.dtype.hasobject or dataset.nbytes > size:
            raise ValueError(f"{name} is larger than the file")


def _check_places(name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raise `ValueError` where offsets, keys and frames do not fit together."""
    offsets, number = arrays["offsets"], len(arrays["utterance"])
    steps = np.diff(offsets)
    fit = (
        arrays["utterance"].dtype.kind == "S"
        and offsets.shape == (number + 1,)
        and offsets[0] == 0
        and (steps >= 0).all()
        and arrays["chunks"].shape == (number,)
        and arrays[name].ndim == 2
        and all(
            len(arrays[each]) == offsets[-1]
            for each in (name, CHARACTERS, SECONDS)
            if each in arrays
        )
    )
    codebook = arrays.get(CODEBOOK)
    if fit and codebook is not None:
        codes = arrays[name]
        fit = codebook.ndim == 3 and codes.shape[1] == len(codebook)
        fit = fit and not (codes.size and (codes.min() < 0 or codes.max() >= codebook.shape[1]))
    if not fit:
        raise ValueError("its arrays do not fit together")


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
        layers=tuple(int(layer) for layer in json.loads(texts["layers"])),
        pretrained_weights=texts["pretrained_weights"],
    )
    if texts_of(header)["header_sha256"] != _text(file.attrs["header_sha256"]) + ".":
        raise ValueError("its attributes are not what was written")
    return header


def _dataset_of(header: ShardHeader, layer: int | None, path: Path | str) -> str:
    for name, there in header.datasets_of_frames().items():
        if there == layer:
            return name
    has = f"the layers {', '.join(map(str, header.layers))}" if header.layers else "no layers"
    raise StoreError(f"{path}: has {has}; {layer} was asked for")


def _mapped(path: Path | str, dataset: h5py.Dataset) -> NDArray[np.generic]:
    """The dataset as it lies in the file where it is contiguous, otherwise a copy.

    The digest then reads the file's pages once, and only what is wanted is copied out of them.
    """
    offset = dataset.id.get_offset()
    if offset is None or not dataset.size:
        array: NDArray[np.generic] = dataset[()]
        return array
    return np.memmap(path, dataset.dtype, "r", offset, dataset.shape)


def _keys(stored: NDArray[np.generic]) -> list[str]:
    return [bytes(key).rstrip(b"\0").decode() for key in stored]


def _text(value: Any) -> str:
    return bytes(value).decode().removesuffix(".")


def _names_of(file: h5py.File) -> list[str]:
    sometimes = [name for name in _SOMETIMES if name in file]
    return [*_header(file).datasets_of_frames(), *_ALWAYS, *sometimes]


def _sha256_in_blocks(dataset: h5py.Dataset) -> str:
    state = digest_state(dataset.dtype, dataset.shape)
    width = max(1, dataset.dtype.itemsize * int(np.prod(dataset.shape[1:])))
    step = max(1, _BLOCK_BYTES // width)
    for first in range(0, len(dataset), step):
        state.update(np.ascontiguousarray(dataset[first : first + step]).data)
    return str(state.hexdigest())
