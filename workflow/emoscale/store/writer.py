"""Writer of a feature shard: utterance by utterance, without holding the frames in memory."""

from __future__ import annotations

import contextlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

import h5py
import numpy as np
from numpy.typing import NDArray

from emoscale.representations.contract import UtteranceFeatures
from emoscale.runtime.errors import StoreError
from emoscale.runtime.files import atomic_path, explain_disk_errors
from emoscale.store.hdf5_output import open_hdf5_output
from emoscale.store.shard import (
    CHARACTERS,
    CODEBOOK,
    SECONDS,
    ShardHeader,
    array_sha256,
    header_attributes,
    new_array_digest,
    verify_shard,
)


class ShardWriter:
    """Context manager that collects utterances in any order, and writes the shard in `finish`.

    Frames are buffered in unnamed temporary files in the folder of the shard, which vanish with the
    process.

    Parameters
    ----------
    path : Path or str
        Feature shard to write.
    header : ShardHeader
        Header of the shard.
    dtype : str
        numpy name of the stored type of frames.
    codebook : ndarray or None
        ``[groups, codes, width]`` if the frames are codes.
    """

    def __init__(
        self,
        path: Path | str,
        header: ShardHeader,
        dtype: str,
        codebook: NDArray[np.float32] | None = None,
    ) -> None:
        self._path = Path(path)
        self._header = header
        self._dtype = np.dtype(dtype)
        self._codebook = codebook
        self._columns = header.dimension if codebook is None else len(codebook)
        if codebook is not None:
            _check_codebook(codebook, header, path)
        with explain_disk_errors(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._buffers: dict[str, IO[bytes]] = {
                name: tempfile.TemporaryFile(dir=self._path.parent)  # noqa: SIM115 - closed on exit
                for name in header.frame_datasets()
            }
        self._spans: dict[str, tuple[int, int]] = {}
        """First frame in the buffers and number of frames, by utterance."""
        self._metadata: dict[str, UtteranceFeatures] = {}
        """Features without frames, by utterance."""
        self._total_frames = 0

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in self._buffers.values():
            # Unwritten data is not needed any more, and closing would fail on a full disk.
            with contextlib.suppress(OSError):
                file.close()

    def add(self, utterance: str, features: UtteranceFeatures) -> None:
        """Add the features of an utterance.

        Parameters
        ----------
        utterance : str
            Key of the utterance.
        features : UtteranceFeatures
            Frames ``[frames, dimension]`` (or codes ``[frames, groups]``), with the layers as first
            axis if the header has layers.

        Raises
        ------
        StoreError
            If frames have another shape or values that the stored type cannot represent, or the key
            was added before.
        """
        if utterance in self._spans:
            raise StoreError(f"{self._path}: {utterance}: duplicate utterance")
        if not utterance or "\0" in utterance:
            raise StoreError(f"{self._path}: an utterance key is empty or contains a zero byte")
        layers = features.frames if self._header.layers else features.frames[None]
        if len(layers) != len(self._buffers):
            raise StoreError(
                f"{self._path}: {utterance} has features of shape {features.frames.shape}; "
                f"expected {len(self._buffers)} layers"
            )
        count = 0
        for buffer, frames in zip(self._buffers.values(), layers, strict=True):
            count = len(frames)
            content = self._convert(frames, utterance).tobytes()
            with explain_disk_errors(self._path):
                buffer.write(content)
        for name in (CHARACTERS, SECONDS):
            rows = getattr(features, name)
            if rows is not None and rows.shape != (count, 2):
                raise StoreError(
                    f"{self._path}: {utterance} has {name} of shape {rows.shape}; expected "
                    f"({count}, 2)"
                )
        self._spans[utterance] = (self._total_frames, count)
        self._metadata[utterance] = UtteranceFeatures(
            np.empty((0, 0)), features.characters, features.chunks, features.seconds
        )
        self._total_frames += count

    def finish(self, utterances: Sequence[str]) -> None:
        """Write the shard under a temporary name, verify it and rename it.

        Parameters
        ----------
        utterances : sequence of str
            Keys of all utterances, in the order of the shard.

        Raises
        ------
        StoreError
            If the keys are not those of the added utterances.
        """
        if len(set(utterances)) < len(utterances):
            raise StoreError(f"{self._path}: duplicate utterance")
        if set(utterances) != set(self._spans):
            raise StoreError(f"{self._path}: utterances are missing or were not requested")
        with atomic_path(self._path) as temporary:
            with open_hdf5_output(temporary) as output, h5py.File(output, "w") as file:
                for name, buffer in self._buffers.items():
                    self._write_frames(file, name, buffer, utterances)
                for name, array in self._small_arrays(utterances).items():
                    dataset = file.create_dataset(name, data=array)
                    dataset.attrs["sha256"] = np.bytes_(array_sha256(array).encode())
                # Bytes of fixed length: strings of variable length are stored in a heap that HDF5
                # does not check, and a damaged heap can hang the reader.
                for name, text in header_attributes(self._header).items():
                    file.attrs[name] = np.bytes_(text.encode())
                file.attrs["complete"] = True
            verify_shard(temporary)

    def _write_frames(
        self, file: h5py.File, name: str, buffer: IO[bytes], utterances: Sequence[str]
    ) -> None:
        shape = (self._total_frames, self._columns)
        dataset = file.create_dataset(name, shape=shape, dtype=self._dtype)
        state = new_array_digest(self._dtype, shape)
        frame_bytes = self._columns * self._dtype.itemsize
        written = 0
        for key in utterances:
            first, count = self._spans[key]
            buffer.seek(first * frame_bytes)
            content = buffer.read(count * frame_bytes)
            state.update(content)
            frames = np.frombuffer(content, self._dtype).reshape(count, self._columns)
            dataset[written : written + count] = frames
            written += count
        dataset.attrs["sha256"] = np.bytes_(state.hexdigest().encode())

    def _small_arrays(self, utterances: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        """Return all arrays except the frames, by name."""
        counts = [self._spans[key][1] for key in utterances]
        metadata = [self._metadata[key] for key in utterances]
        encoded = [key.encode() for key in utterances]
        key_bytes = max((len(key) for key in encoded), default=1)
        arrays: dict[str, NDArray[np.generic]] = {
            "offsets": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            "utterance": np.array(encoded, dtype=h5py.string_dtype("utf-8", key_bytes)),
            "chunks": np.array([features.chunks for features in metadata], dtype=np.int32),
        }
        if self._codebook is not None:
            arrays[CODEBOOK] = np.ascontiguousarray(self._codebook, dtype=np.float32)
        for name, dtype in ((CHARACTERS, np.int32), (SECONDS, np.float64)):
            rows = [getattr(features, name) for features in metadata]
            available = [row for row in rows if row is not None]
            if len(available) not in (0, len(rows)):
                raise StoreError(f"{self._path}: only some utterances have {name}")
            if available:
                arrays[name] = np.concatenate(available).astype(dtype)
        return arrays

    def _convert(self, frames: NDArray[np.generic], utterance: str) -> NDArray[np.generic]:
        """Convert frames to the stored type, and check shape and values."""
        if frames.ndim != 2 or frames.shape[1] != self._columns or not len(frames):
            raise StoreError(
                f"{self._path}: {utterance} has features of shape {frames.shape}; expected at "
                f"least one frame of {self._columns} values"
            )
        stored = frames.astype(self._dtype, copy=False)
        integer = np.issubdtype(self._dtype, np.integer)
        if integer and stored.dtype != frames.dtype and not np.array_equal(stored, frames):
            raise StoreError(
                f"{self._path}: {utterance} has a value that {self._dtype} cannot represent"
            )
        if np.issubdtype(self._dtype, np.floating) and not np.isfinite(stored).all():
            raise StoreError(
                f"{self._path}: {utterance} has a value that is not finite in {self._dtype}"
                + self._larger_type_hint(frames)
            )
        if self._codebook is not None:
            size = self._codebook.shape[1]
            if not 0 <= int(stored.min()) <= int(stored.max()) < size:
                raise StoreError(
                    f"{self._path}: {utterance} has a code outside the codebook of {size} codes"
                )
        return stored

    def _larger_type_hint(self, frames: NDArray[np.generic]) -> str:
        """Return advice for values beyond float16; networks convert to it, so they are infinite."""
        has_setting = "storage_dtype" in json.loads(self._header.representation)
        if has_setting and self._dtype == np.float16 and not np.isnan(frames).any():
            return "; set storage_dtype: float32"
        return ""


def write_shard(
    path: Path | str,
    header: ShardHeader,
    utterances: Sequence[str],
    features: Sequence[NDArray[np.generic] | UtteranceFeatures],
    dtype: str,
    codebook: NDArray[np.float32] | None = None,
) -> None:
    """Write a shard of utterances whose features are in memory.

    Parameters
    ----------
    path : Path or str
        Feature shard to write.
    header : ShardHeader
        Header of the shard.
    utterances : sequence of str
        Keys of the utterances.
    features : sequence of ndarray or UtteranceFeatures
        Features of each utterance.
    dtype : str
        numpy name of the stored type of frames.
    codebook : ndarray or None
        ``[groups, codes, width]`` if the frames are codes.
    """
    with ShardWriter(path, header, dtype, codebook) as writer:
        for key, each in zip(utterances, features, strict=True):
            if not isinstance(each, UtteranceFeatures):
                each = UtteranceFeatures(each)
            writer.add(key, each)
        writer.finish(utterances)


def _check_codebook(codebook: NDArray[np.float32], header: ShardHeader, path: Path | str) -> None:
    groups, _, width = codebook.shape
    if groups * width != header.dimension:
        raise StoreError(
            f"{path}: {groups} groups of {width} values do not have the dimension "
            f"{header.dimension}"
        )
    if not np.isfinite(codebook).all() or np.abs(codebook).max() > np.finfo(np.float16).max:
        raise StoreError(f"{path}: the codebook has a value that is not finite in float16")
