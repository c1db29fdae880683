"""Extracts one representation for one shard of the corpus."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from emoscale.audio.utterances import read_ahead, transcript_of, waveform_of
from emoscale.representations.batching import SmallerBatches, plan_batches, settings_that_help
from emoscale.representations.contract import Extracted, Representation, Waveform
from emoscale.representations.word_alignment import seconds_of_tokens
from emoscale.runtime.errors import AudioError, StoreError, UserError, reason_of
from emoscale.runtime.progress import WorkProgress
from emoscale.runtime.provenance import canonical_json, digest
from emoscale.store.shard import ShardHeader
from emoscale.store.writer import ShardWriter


def extract_shard(
    rows: pl.DataFrame,
    root: Path,
    settings: Any,
    representation: Representation,
    path: Path,
    code_sha256: str,
    pretrained_weights: str = "",
    heard: Callable[[dict[str, Any], Path], Waveform] = waveform_of,
) -> None:
    """Write the features of a corpus shard's `rows` (schema `EXTRACTION_INPUTS`) to `path`.

    `settings` are those that `representation` was built from, as the study states them; `pretrained_weights`
    says in a phrase where its pre-trained weights come from; `heard` gives the waveform of a row of
    the corpus at the root. Raises `UserError` with the utterance's key where its audio changed
    since the corpus was read, it lacks what the representation reads, the representation gives
    something that cannot be stored, or it alone does not fit in memory.
    """
    utterances = rows.to_dicts()
    codebook = getattr(representation, "codebook", None)
    batches = plan_batches(rows["seconds"].to_list(), getattr(representation, "batch_seconds", 0.0))
    name = path.parent.name
    label = f"{name} {path.stem}"
    smaller = SmallerBatches(
        label, functools.partial(_extract, representation), settings_that_help(name, settings)
    )

    def read(batch: list[int]) -> list[Any]:
        given = [utterances[place] for place in batch]
        if representation.modality == "text":
            return [transcript_of(row) for row in given]
        return [heard(row, root) for row in given]

    with (
        ShardWriter(
            path,
            header_of(rows, settings, representation, code_sha256, pretrained_weights),
            representation.dtype,
            codebook,
        ) as writer,
        WorkProgress(label, float(rows["seconds"].sum()), "seconds of audio") as progress,
    ):
        for batch, given in read_ahead(batches, read):
            batch_rows = [utterances[place] for place in batch]
            for row, extracted in zip(batch_rows, smaller.extract(batch_rows, given), strict=True):
                writer.add(row["utterance"], extracted)
                progress.advance(row["seconds"])
        writer.finish(rows["utterance"].to_list())


def header_of(
    rows: pl.DataFrame,
    settings: Any,
    representation: Any,
    code_sha256: str,
    pretrained_weights: str,
) -> ShardHeader:
    """What a shard of `rows` is made from."""
    return ShardHeader(
        representation=canonical_json(settings.model_dump(mode="json")),
        dimension=representation.dimension,
        frame_rate=representation.frame_rate,
        code_sha256=code_sha256,
        shard_sha256=digest(rows.to_dicts()),
        checkpoint_sha256=getattr(representation, "checkpoint_sha256", ""),
        layers=tuple(getattr(representation, "layers", None) or ()),
        pretrained_weights=pretrained_weights,
    )


def _extract(
    representation: Representation, rows: Sequence[dict[str, Any]], given: list[Any]
) -> list[Extracted]:
    keys = ", ".join(row["utterance"] for row in rows)
    try:
        results = representation.extract(given)
    except UserError as error:
        if len(rows) > 1:  # which of them it is
            for row, one in zip(rows, given, strict=True):
                _extract(representation, [row], [one])
        advice = "; raise audio.minimum_seconds" if isinstance(error, AudioError) else ""
        raise UserError(f"{keys}: {error}{advice}") from None
    if not isinstance(results, Sequence) or len(results) != len(rows):
        count = len(results) if isinstance(results, Sequence) else type(results).__name__
        raise StoreError(
            f"{keys}: the representation gave {count} results for {len(rows)} utterances"
        )
    whole = [_as_extracted(given, row) for given, row in zip(results, rows, strict=True)]
    return [_with_seconds(extracted, row) for extracted, row in zip(whole, rows, strict=True)]


def _as_extracted(given: Any, row: dict[str, Any]) -> Extracted:
    """An array, or what can be made one, with what there is beside it."""
    extracted = given if isinstance(given, Extracted) else Extracted(given)
    try:
        frames = np.asarray(extracted.frames)
        characters = extracted.characters
        characters = None if characters is None else np.asarray(characters, dtype=np.int32)
    except (ValueError, TypeError, RuntimeError) as error:
        raise StoreError(
            f"{row['utterance']}: the representation gave no array of numbers ({reason_of(error)})"
        ) from None
    if frames.dtype.kind not in "fiub":
        raise StoreError(f"{row['utterance']}: the representation gave {frames.dtype}, not numbers")
    return dataclasses.replace(extracted, frames=frames, characters=characters)


def _with_seconds(extracted: Extracted, row: dict[str, Any]) -> Extracted:
    """The tokens' times, from the corpus's alignment of words."""
    if extracted.characters is None:
        return extracted
    seconds = seconds_of_tokens(row["transcript"], extracted.characters, row["words"])
    return dataclasses.replace(extracted, seconds=seconds)
