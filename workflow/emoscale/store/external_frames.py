"""Frames that another program computes, in a Python of its own: waveforms out, frames in."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from emoscale.audio.utterances import waveform_of
from emoscale.representations.contract import Extracted, Representation
from emoscale.runtime.errors import StoreError, reason_of
from emoscale.runtime.files import atomic_path
from emoscale.store.extraction import header_of
from emoscale.store.writer import ShardWriter


def export_waveforms(rows: pl.DataFrame, root: Path, path: Path) -> None:
    """Write the waveform [samples] of row i of a corpus shard (schema `SOURCES`) as array `i`.

    One at a time, into an uncompressed .npz file. Raises `UserError` as `waveform_of` does.
    """
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for place, row in enumerate(rows.iter_rows(named=True)):
            with archive.open(f"{place}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, waveform_of(row, root), allow_pickle=False)


def store_frames(
    rows: pl.DataFrame,
    settings: Any,
    representation: Representation,
    frames: Path,
    path: Path,
    code_sha256: str,
    weights: str,
) -> None:
    """Write to `path` the frames that an .npz file holds of each row, under its number.

    `representation` says what they are; it computes nothing. Raises `StoreError` where the file is
    damaged or lacks an utterance.
    """
    codebook = getattr(representation, "codebook", None)
    header = header_of(rows, settings, representation, code_sha256, weights)
    keys = rows["utterance"].to_list()
    with ShardWriter(path, header, representation.dtype, codebook) as writer:
        for key, computed in zip(keys, _arrays(frames, len(keys)), strict=True):
            writer.add(key, Extracted(computed))
        writer.finish(keys)


_DAMAGE = (
    EOFError,
    KeyError,
    MemoryError,
    NotImplementedError,
    OSError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What numpy and zipfile raise where a file is not what it says."""


def _arrays(path: Path, count: int) -> Iterator[NDArray[np.generic]]:
    """The arrays `0` to `count` of an .npz file, one at a time."""
    try:
        with np.load(path, allow_pickle=False) as file:
            for place in range(count):
                array: Any = file[str(place)]
                if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
                    raise ValueError(f"{place} is no array of numbers")
                yield array
    except _DAMAGE as error:
        raise StoreError(
            f"{path}: is damaged or lacks an utterance ({reason_of(error)}); remove it and run "
            "again"
        ) from None
