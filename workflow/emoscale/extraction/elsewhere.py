"""Frames that another program computes, in a Python of its own: waveforms out, frames in."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from emoscale.errors import StoreError
from emoscale.extraction.reading import waveform_of
from emoscale.extraction.shard import header_of
from emoscale.files import atomic_path
from emoscale.representations.contract import Extracted, Representation
from emoscale.store.writer import ShardWriter


def export_waveforms(rows: pl.DataFrame, root: Path, path: Path) -> None:
    """Write the waveform [samples] of row i of a corpus shard (schema `SHARD`) as array `i`.

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
    try:
        with (
            np.load(frames, allow_pickle=False) as computed,
            ShardWriter(path, header, representation.dtype, codebook) as writer,
        ):
            for place, key in enumerate(rows["utterance"]):
                writer.add(key, Extracted(computed[str(place)]))
            writer.finish(rows["utterance"].to_list())
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise StoreError(
            f"{frames}: is damaged or lacks an utterance ({error}); remove it and run again"
        ) from None
