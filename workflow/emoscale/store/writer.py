"""Writes one shard, utterance by utterance, without holding it in memory."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO

import h5py
import numpy as np
from numpy.typing import NDArray

from emoscale.representations.contract import Extracted
from emoscale.runtime.errors import StoreError
from emoscale.runtime.files import atomic_path, explain_disk_errors
from emoscale.store.full_disk import open_for_hdf5
from emoscale.store.shard import (
    CHARACTERS,
    CODEBOOK,
    SECONDS,
    ShardHeader,
    digest_state,
    sha256_of,
    texts_of,
    verify_shard,
)


class ShardWriter:
    """Takes utterances in any order; `finish` writes the shard in the order that it is told.

    Frames wait in nameless temporary files beside the shard, which vanish with the process. Use as
    a context manager.
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
            self._waiting: dict[str, IO[bytes]] = {
                name: tempfile.TemporaryFile(dir=self._path.parent)  # noqa: SIM115 - closed on exit
                for name in header.datasets_of_frames()
            }
        self._places: dict[str, tuple[int, int]] = {}  # first frame among those waiting, and count
        self._rest: dict[str, Extracted] = {}  # without frames
        self._total = 0

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for file in self._waiting.values():
            # What is not on disk yet is not needed any more, and a full disk would not take it.
            with contextlib.suppress(OSError):
                file.close()

    def add(self, utterance: str, extracted: Extracted) -> None:
        """Take an utterance's frames [T, dimension] (codes [T, groups]; layers first).

        Raises `StoreError` where they do not fit, have a value that is not finite (in the stored
        type), or the key stands twice.
        """
        if utterance in self._places:
            raise StoreError(f"{self._path}: {utterance}: an utterance stands twice")
        if not utterance or "\0" in utterance:
            raise StoreError(f"{self._path}: an utterance key is empty or holds a zero byte")
        states = extracted.frames if self._header.layers else extracted.frames[None]
        if len(states) != len(self._waiting):
            raise StoreError(
                f"{self._path}: {utterance} has features of shape {extracted.frames.shape}; "
                f"expected {len(self._waiting)} layers"
            )
        count = 0
        for file, frames in zip(self._waiting.values(), states, strict=True):
            count = len(frames)
            content = self._checked(frames, utterance).tobytes()
            with explain_disk_errors(self._path):
                file.write(content)
        for name in (CHARACTERS, SECONDS):
            rows = getattr(extracted, name)
            if rows is not None and rows.shape != (count, 2):
                raise StoreError(f"{self._path}: {utterance} has {name} of shape {rows.shape}")
        self._places[utterance] = (self._total, count)
        self._rest[utterance] = Extracted(
            np.empty((0, 0)), extracted.characters, extracted.chunks, extracted.seconds
        )
        self._total += count

    def finish(self, utterances: Sequence[str]) -> None:
        """Write the shard in this order of its utterances, verify it, and give it its name."""
        if len(set(utterances)) < len(utterances):
            raise StoreError(f"{self._path}: an utterance stands twice")
        if set(utterances) != set(self._places):
            raise StoreError(f"{self._path}: utterances are missing or were not asked for")
        with atomic_path(self._path) as temporary:
            with open_for_hdf5(temporary) as under, h5py.File(under, "w") as file:
                for name, waiting in self._waiting.items():
                    self._copy(file, name, waiting, utterances)
                for name, array in self._small(utterances).items():
                    dataset = file.create_dataset(name, data=array)
                    dataset.attrs["sha256"] = np.bytes_(sha256_of(array).encode())
                # Bytes of fixed length: strings of variable length lie in a heap that HDF5 does
                # not check, and a damaged one can hang the reader.
                for name, text in texts_of(self._header).items():
                    file.attrs[name] = np.bytes_(text.encode())
                file.attrs["complete"] = True
            verify_shard(temporary)

    def _copy(
        self, file: h5py.File, name: str, waiting: IO[bytes], utterances: Sequence[str]
    ) -> None:
        shape = (self._total, self._columns)
        dataset = file.create_dataset(name, shape=shape, dtype=self._dtype)
        state = digest_state(self._dtype, shape)
        width = self._columns * self._dtype.itemsize
        done = 0
        for key in utterances:
            first, count = self._places[key]
            waiting.seek(first * width)
            content = waiting.read(count * width)
            state.update(content)
            frames = np.frombuffer(content, self._dtype).reshape(count, self._columns)
            dataset[done : done + count] = frames
            done += count
        dataset.attrs["sha256"] = np.bytes_(state.hexdigest().encode())

    def _small(self, utterances: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        """Everything but the frames."""
        counts = [self._places[key][1] for key in utterances]
        rest = [self._rest[key] for key in utterances]
        encoded = [key.encode() for key in utterances]
        longest = max((len(key) for key in encoded), default=1)
        arrays: dict[str, NDArray[np.generic]] = {
            "offsets": np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            "utterance": np.array(encoded, dtype=h5py.string_dtype("utf-8", longest)),
            "chunks": np.array([extracted.chunks for extracted in rest], dtype=np.int32),
        }
        if self._codebook is not None:
            arrays[CODEBOOK] = np.ascontiguousarray(self._codebook, dtype=np.float32)
        for name, dtype in ((CHARACTERS, np.int32), (SECONDS, np.float64)):
            rows = [getattr(extracted, name) for extracted in rest]
            there = [row for row in rows if row is not None]
            if len(there) not in (0, len(rows)):
                raise StoreError(f"{self._path}: only some utterances have {name}")
            if there:
                arrays[name] = np.concatenate(there).astype(dtype)
        return arrays

    def _checked(self, frames: NDArray[np.generic], utterance: str) -> NDArray[np.generic]:
        if frames.ndim != 2 or frames.shape[1] != self._columns or not len(frames):
            raise StoreError(
                f"{self._path}: {utterance} has features of shape {frames.shape}; expected at "
                f"least one frame of {self._columns} values"
            )
        stored = frames.astype(self._dtype, copy=False)
        whole = np.issubdtype(self._dtype, np.integer)
        if whole and stored.dtype != frames.dtype and not np.array_equal(stored, frames):
            raise StoreError(
                f"{self._path}: {utterance} has a value that is not one of {self._dtype}"
            )
        if np.issubdtype(self._dtype, np.floating) and not np.isfinite(stored).all():
            raise StoreError(
                f"{self._path}: {utterance} has a value that is not finite in {self._dtype}"
                + ("; storage_dtype: float32 holds more" if np.isfinite(frames).all() else "")
            )
        if self._codebook is not None:
            size = self._codebook.shape[1]
            if not 0 <= int(stored.min()) <= int(stored.max()) < size:
                raise StoreError(
                    f"{self._path}: {utterance}: a code is not one of the codebook's {size}"
                )
        return stored


def write_shard(
    path: Path | str,
    header: ShardHeader,
    utterances: Sequence[str],
    features: Sequence[NDArray[np.generic] | Extracted],
    dtype: str,
    codebook: NDArray[np.float32] | None = None,
) -> None:
    """Write a shard of utterances that are all at hand (see `ShardWriter`)."""
    with ShardWriter(path, header, dtype, codebook) as writer:
        for key, given in zip(utterances, features, strict=True):
            writer.add(key, given if isinstance(given, Extracted) else Extracted(given))
        writer.finish(utterances)


def _check_codebook(codebook: NDArray[np.float32], header: ShardHeader, path: Path | str) -> None:
    groups, _, width = codebook.shape
    if groups * width != header.dimension:
        raise StoreError(f"{path}: {groups} groups of {width} values are not {header.dimension}")
    if not np.isfinite(codebook).all() or np.abs(codebook).max() > np.finfo(np.float16).max:
        raise StoreError(f"{path}: the codebook has a value that is not finite in float16")
