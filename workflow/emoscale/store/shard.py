"""HDF5 format of a feature shard: concatenated frames and a sha256 digest per dataset.

    frames      [N, D]   all utterances' frames, one after the other; with several layers, one
                         dataset `layer_<index>` [N, D] per layer instead
    offsets     [n + 1]  int64; utterance i has the frames offsets[i] to offsets[i + 1]
    utterance   [n]      keys, UTF-8 of fixed length
    chunks      [n]      int32; number of chunks in which the utterance was computed
    codebook    [G, V, W]  float32, only if the frames are codes [N, G]: the vectors of each group
    characters  [N, 2]   int32, text only: character span of each token in the transcript
    seconds     [N, 2]   float64, text only: start and end of each token; NaN if unknown

Attributes of the file, as text: `schema`, the fields of `ShardHeader`, their digest
`header_sha256`; and `complete`, written last. The digests are computed before writing and compared
with the file after writing and at every reading, so incomplete files and changed values are
detected. Equal contents give equal bytes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from emoscale.runtime.errors import DamagedFileError, StoreError
from emoscale.runtime.memory import FEWER_PARALLEL_STEPS

SCHEMA = "emoscale-features-2"
CODEBOOK, CHARACTERS, SECONDS = "codebook", "characters", "seconds"
_REQUIRED = ("offsets", "utterance", "chunks")
_OPTIONAL = (CODEBOOK, CHARACTERS, SECONDS)
_BLOCK_BYTES = 1 << 26
_READ_ERRORS = (
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
"""Exceptions of h5py and numpy while reading a damaged file."""


@dataclass(frozen=True)
class ShardHeader:
    """Provenance and dimensions of a shard."""

    representation: str
    """Canonical JSON of the representation's settings."""

    dimension: int
    """Number of values per frame; for codes, of their concatenated vectors."""

    frame_rate: float | None
    """Frames per second; None if frames are not equally spaced."""

    code_sha256: str
    """Digest of the code that extracted the features."""

    shard_sha256: str
    """Digest of the rows of the corpus shard."""

    checkpoint_sha256: str = ""
    """Digest of the pre-trained weights; empty if there are none."""

    layers: tuple[int, ...] = ()
    """Indices of the stored hidden states; empty if the representation has no layers."""

    pretrained_weights: str = ""
    """Source of the pre-trained weights; empty if there are none."""

    def frame_datasets(self) -> dict[str, int | None]:
        """Return the names of the datasets with frames, and the layer of each."""
        return {f"layer_{layer}": layer for layer in self.layers} or {"frames": None}


@dataclass(frozen=True)
class ShardContents:
    """Arrays of a shard."""

    layers: tuple[NDArray[np.generic], ...]
    """Per requested layer ``[total_frames, dimension]``, a view of one read-only memory map; one
    array if there are no layers, or codes ``[total_frames, groups]``."""

    offsets: NDArray[np.int64]
    """``[utterances + 1]``, index of each utterance's first frame."""

    utterances: list[str]
    """Keys of the utterances."""

    chunks: NDArray[np.int32]
    """``[utterances]``, number of chunks in which each utterance was computed."""

    codebook: NDArray[np.float32] | None = None
    """``[groups, codes, width]`` if the frames are codes."""

    characters: NDArray[np.int32] | None = None
    """Text only: ``[total_frames, 2]``, character span of each token."""

    seconds: NDArray[np.float64] | None = None
    """Text only: ``[total_frames, 2]``, start and end of each token."""

    @property
    def frames(self) -> NDArray[np.generic]:
        """Frames ``[total_frames, dimension]`` where one layer was read, or there are none."""
        (frames,) = self.layers
        return frames


def read_header(path: Path | str) -> ShardHeader:
    """Read the header of a shard.

    Parameters
    ----------
    path : Path or str
        Feature shard.

    Returns
    -------
    ShardHeader
        Provenance and dimensions.

    Raises
    ------
    StoreError
        If the shard is damaged or incomplete.
    """
    with _open(path) as file:
        return _read_header(file)


def read_shard(path: Path | str, layers: Sequence[int] | None = None) -> ShardContents:
    """Read a shard.

    Parameters
    ----------
    path : Path or str
        Feature shard.
    layers : sequence of int or None
        Layers to read, of `ShardHeader.layers`; None if there are no layers.

    Returns
    -------
    ShardContents
        Arrays of the shard; frames are read-only views of one memory map of the file.

    Raises
    ------
    StoreError
        If an array does not match its digest, or the shard does not have a layer.
    """
    with _open(path) as file:
        header = _read_header(file)
        frame_names = [
            _frame_dataset(header, layer, path) for layer in ([None] if layers is None else layers)
        ]
        file_map = np.memmap(path, np.uint8, "r")
        names = [*_REQUIRED, *(name for name in _OPTIONAL if name in file)]
        frames = {name: _memory_map(file_map, file[name]) for name in frame_names}
        arrays: dict[str, Any] = {name: file[name][()] for name in names}
        for name, array in (frames | arrays).items():
            if array_sha256(array) != _decode_text(file[name].attrs["sha256"]):
                raise DamagedFileError(path, _digest_mismatch(name))
        for name in frame_names:
            _check_consistency(name, arrays | {name: frames[name]})
        codebook = arrays.get(CODEBOOK)
        return ShardContents(
            tuple(frames[name] for name in frame_names),
            arrays["offsets"].astype(np.int64),
            _decode_keys(arrays["utterance"]),
            arrays["chunks"],
            None if codebook is None else codebook.astype(np.float32),
            arrays.get(CHARACTERS),
            arrays.get(SECONDS),
        )


@dataclass(frozen=True)
class ShardSummary:
    """Utterances of a shard, without their frames."""

    utterances: list[str]
    """Keys of the utterances."""

    frames: NDArray[np.int64]
    """``[utterances]``, number of frames of each."""

    chunks: NDArray[np.int32]
    """``[utterances]``, number of chunks in which each was computed."""


def verify_shard(path: Path | str) -> ShardSummary:
    """Compare all datasets of a shard with their digests, block by block.

    Parameters
    ----------
    path : Path or str
        Feature shard.

    Returns
    -------
    ShardSummary
        Utterances of the shard.

    Raises
    ------
    StoreError
        If the shard is damaged or incomplete.
    """
    with _open(path) as file:
        for name in _dataset_names(file):
            if _dataset_sha256(file[name]) != _decode_text(file[name].attrs["sha256"]):
                raise DamagedFileError(path, _digest_mismatch(name))
        arrays = {name: file[name][()] for name in _REQUIRED}
        for name in _read_header(file).frame_datasets():
            frames = np.broadcast_to(np.int8(0), file[name].shape)
            _check_consistency(name, arrays | {name: frames})
        return ShardSummary(
            _decode_keys(arrays["utterance"]), np.diff(arrays["offsets"]), arrays["chunks"]
        )


def shard_digest(path: Path | str) -> str:
    """Combine the digests of a shard's datasets and header.

    Parameters
    ----------
    path : Path or str
        Feature shard.

    Returns
    -------
    str
        sha256 in hexadecimal.
    """
    with _open(path) as file:
        digests = [_decode_text(file[name].attrs["sha256"]) for name in _dataset_names(file)]
        digests.append(_decode_text(file.attrs["header_sha256"]))
    return hashlib.sha256(" ".join(digests).encode()).hexdigest()


def header_attributes(header: ShardHeader) -> dict[str, str]:
    """Return the HDF5 attributes of a header, including their digest.

    Parameters
    ----------
    header : ShardHeader
        Header of a shard.

    Returns
    -------
    dict of str to str
        Text of each attribute as stored in the file.
    """
    texts = {name: str(value) for name, value in asdict(header).items()}
    texts = {"schema": SCHEMA, **texts, "layers": json.dumps(header.layers)}
    digest = hashlib.sha256("\n".join(f"{k} {v}" for k, v in texts.items()).encode())
    # The trailing full stop is needed because HDF5 cannot store an empty text.
    return {name: value + "." for name, value in texts.items()} | {
        "header_sha256": digest.hexdigest() + "."
    }


def new_array_digest(dtype: np.dtype, shape: tuple[int, ...]) -> Any:
    """Return a sha256 object that is initialised with the type and shape of an array.

    They are part of the digest because equal bytes of another type or shape are other values.

    Parameters
    ----------
    dtype : dtype
        Type of the array.
    shape : tuple of int
        Shape of the array.

    Returns
    -------
    hashlib hash
        Object to update with the bytes of the array.
    """
    return hashlib.sha256(f"{dtype.str} {shape} ".encode())


def array_sha256(array: NDArray[np.generic]) -> str:
    """Compute the digest of a dataset.

    Parameters
    ----------
    array : ndarray
        Contents of the dataset.

    Returns
    -------
    str
        sha256 of type, shape and values in hexadecimal.
    """
    state = new_array_digest(array.dtype, array.shape)
    state.update(np.ascontiguousarray(array).data)
    return str(state.hexdigest())


@contextlib.contextmanager
def _open(path: Path | str) -> Iterator[h5py.File]:
    """Open a complete shard for reading; convert errors of damaged files to `StoreError`."""
    if not Path(path).exists():
        raise StoreError(f"{path} does not exist; run the step that creates it")
    try:
        # A complete shard is never modified, so no lock is needed (NFS may not support locks).
        with h5py.File(path, "r", locking=False) as file:
            if (
                not file.attrs.get("complete", False)
                or _decode_text(file.attrs["schema"]) != SCHEMA
            ):
                raise DamagedFileError(path, "is not a complete feature shard")
            _check_datasets(file, os.path.getsize(path))
            yield file
    except _READ_ERRORS as error:
        # Arrays are at most as large as the file, so the file may be intact.
        if isinstance(error, MemoryError):
            raise StoreError(
                f"{path}: memory ran out while the file was read ({error}); "
                f"{FEWER_PARALLEL_STEPS}; if there is enough memory, the file is damaged: remove "
                "it and run again"
            ) from None
        if isinstance(error, OSError) and error.errno is not None:
            raise StoreError(
                f"{path} cannot be read ({error.strerror or error}); resolve this and run again"
            ) from None
        raise DamagedFileError(path, f"is not HDF5, or is damaged ({error})") from None


def _digest_mismatch(name: str) -> str:
    return f"the content of {name} does not match its digest"


def _check_datasets(file: h5py.File, size: int) -> None:
    """Raise `ValueError` if a dataset is in another file, or larger than the file.

    HDF5 would follow links to any file, and create or decompress arrays of any size from a few
    bytes.
    """
    for name in file:
        dataset = file[name] if isinstance(file.get(name, getlink=True), h5py.HardLink) else None
        if not isinstance(dataset, h5py.Dataset) or dataset.external or dataset.is_virtual:
            raise ValueError(f"{name} is not an array in this file")
        if dataset.dtype.hasobject or dataset.nbytes > size:
            raise ValueError(f"{name} is larger than the file")


def _check_consistency(frames_name: str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Raise `ValueError` if offsets, keys and frames do not have matching shapes and values."""
    offsets, number = arrays["offsets"], len(arrays["utterance"])
    lengths = np.diff(offsets)
    consistent = (
        arrays["utterance"].dtype.kind == "S"
        and offsets.shape == (number + 1,)
        and offsets[0] == 0
        and (lengths >= 0).all()
        and arrays["chunks"].shape == (number,)
        and arrays[frames_name].ndim == 2
        and all(
            len(arrays[name]) == offsets[-1]
            for name in (frames_name, CHARACTERS, SECONDS)
            if name in arrays
        )
    )
    codebook = arrays.get(CODEBOOK)
    if consistent and codebook is not None:
        codes = arrays[frames_name]
        consistent = codebook.ndim == 3 and codes.shape[1] == len(codebook)
        consistent = consistent and not (
            codes.size and (codes.min() < 0 or codes.max() >= codebook.shape[1])
        )
    if not consistent:
        raise ValueError("its arrays are inconsistent")


def _read_header(file: h5py.File) -> ShardHeader:
    names = ("schema", *ShardHeader.__annotations__)
    texts = {name: _decode_text(file.attrs[name]) for name in names}
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
    stored_digest = _decode_text(file.attrs["header_sha256"]) + "."
    if header_attributes(header)["header_sha256"] != stored_digest:
        raise ValueError("its attributes do not match their digest")
    return header


def _frame_dataset(header: ShardHeader, layer: int | None, path: Path | str) -> str:
    for name, dataset_layer in header.frame_datasets().items():
        if dataset_layer == layer:
            return name
    available = f"the layers {', '.join(map(str, header.layers))}" if header.layers else "no layers"
    raise StoreError(f"{path}: has {available}; layer {layer} was requested")


def _memory_map(file_map: NDArray[np.uint8], dataset: h5py.Dataset) -> NDArray[np.generic]:
    """Return a view of a dataset in the map of its file if it is contiguous, otherwise a copy."""
    offset = dataset.id.get_offset()
    array: NDArray[np.generic]
    if offset is None or not dataset.size:
        array = dataset[()]
    else:
        content = np.asarray(file_map)[offset : offset + dataset.nbytes]
        array = content.view(dataset.dtype).reshape(dataset.shape)
    return array


def _decode_keys(stored: NDArray[np.generic]) -> list[str]:
    return [bytes(key).rstrip(b"\0").decode() for key in stored]


def _decode_text(value: Any) -> str:
    return bytes(value).decode().removesuffix(".")


def _dataset_names(file: h5py.File) -> list[str]:
    optional = [name for name in _OPTIONAL if name in file]
    return [*_read_header(file).frame_datasets(), *_REQUIRED, *optional]


def _dataset_sha256(dataset: h5py.Dataset) -> str:
    """Compute the same digest as `array_sha256`, block by block."""
    state = new_array_digest(dataset.dtype, dataset.shape)
    row_bytes = max(1, dataset.dtype.itemsize * int(np.prod(dataset.shape[1:])))
    block_rows = max(1, _BLOCK_BYTES // row_bytes)
    for first in range(0, len(dataset), block_rows):
        state.update(np.ascontiguousarray(dataset[first : first + block_rows]).data)
    return str(state.hexdigest())
