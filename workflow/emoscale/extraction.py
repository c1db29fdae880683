"""Extracts one representation for one shard of the corpus."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from emoscale.audio import SAMPLE_RATE, read_waveform
from emoscale.errors import AudioError, StoreError, UserError
from emoscale.progress import WorkProgress
from emoscale.provenance import canonical_json, digest
from emoscale.representations.contract import Representation
from emoscale.representations.registry import build_representation
from emoscale.store.shard import ShardHeader, write_shard


def extract_shard(
    rows: pl.DataFrame, root: Path, settings: Any, path: Path, code_sha256: str
) -> None:
    """Write the features of a corpus shard's `rows` (schema `SHARD`) to `path`.

    Raises `UserError` with the utterance's key where its audio changed since the corpus was read
    or the representation gives something that cannot be stored.
    """
    representation = build_representation(settings)
    features: list[NDArray[np.generic]] = []
    label = path.parent.name + " " + path.stem
    with WorkProgress(label, float(rows["seconds"].sum()), "seconds of audio") as progress:
        for row in rows.iter_rows(named=True):
            features.append(_extract_one(representation, row, root))
            progress.advance(row["seconds"])
    header = ShardHeader(
        representation=canonical_json(settings.model_dump(mode="json")),
        dimension=representation.dimension,
        frame_rate=representation.frame_rate,
        code_sha256=code_sha256,
        shard_sha256=digest(rows.to_dicts()),
        checkpoint_sha256=getattr(representation, "checkpoint_sha256", ""),
    )
    keys = rows["utterance"].to_list()
    codebook = getattr(representation, "codebook", None)
    write_shard(path, header, keys, features, representation.dtype, codebook)


def _extract_one(
    representation: Representation, row: dict[str, Any], root: Path
) -> NDArray[np.generic]:
    key = row["utterance"]
    if representation.modality == "text":
        given: Any = row["transcript"] or ""
    else:
        try:
            given = read_waveform(root / row["audio"], row["start"], row["end"])
        except AudioError as error:
            raise UserError(
                f"{key}: {error}; the corpus changed since it was read: run again"
            ) from None
        if abs(len(given) / SAMPLE_RATE - row["seconds"]) > 0.001 + 1 / SAMPLE_RATE:
            raise UserError(
                f"{key}: lasts {len(given) / SAMPLE_RATE:.3f} s and lasted {row['seconds']:.3f} s "
                "when the corpus was read: run again"
            )
    try:
        frames = representation.extract([given])
    except AudioError as error:
        raise UserError(f"{key}: {error}; raise audio.minimum_seconds") from None
    if len(frames) != 1:
        raise StoreError(f"{key}: the representation gave {len(frames)} results for one utterance")
    return frames[0]
