"""Extraction of one representation for one shard of the corpus."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from emoscale.audio.utterances import prefetch, transcript_of, waveform_of
from emoscale.representations.batching import AdaptiveBatchExtractor, memory_advice, plan_batches
from emoscale.representations.contract import Representation, UtteranceFeatures, Waveform
from emoscale.representations.registry import feature_versions
from emoscale.representations.word_alignment import token_seconds
from emoscale.runtime.errors import AudioError, StoreError, UserError, error_summary
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
    waveform_reader: Callable[[dict[str, Any], Path], Waveform] = waveform_of,
) -> None:
    """Extract the features of a corpus shard.

    Parameters
    ----------
    rows : DataFrame
        The shard's utterances (schema `EXTRACTION_INPUTS`).
    root : Path
        Root folder of the corpus.
    settings : Settings
        Settings of the representation, as in the study's configuration.
    representation : Representation
        The representation that was built from them.
    path : Path
        Feature shard to write.
    code_sha256 : str
        Digest of the code that determines the features.
    pretrained_weights : str
        Source of the pre-trained weights; empty if there are none.
    waveform_reader : callable
        Reads the waveform of a row, given the corpus root.

    Raises
    ------
    UserError
        If the audio of an utterance changed since the corpus was read, an utterance lacks the input
        of the representation, its features cannot be stored, or it does not fit in memory by
        itself; the message contains the utterance's key.
    """
    utterances = rows.to_dicts()
    codebook = getattr(representation, "codebook", None)
    batches = plan_batches(rows["seconds"].to_list(), getattr(representation, "batch_seconds", 0.0))
    name = path.parent.name
    label = f"{name} {path.stem}"
    extractor = AdaptiveBatchExtractor(
        label, functools.partial(_extract, representation), memory_advice(name, settings)
    )

    def read_inputs(batch: list[int]) -> list[Any]:
        batch_rows = [utterances[index] for index in batch]
        if representation.modality == "text":
            return [transcript_of(row) for row in batch_rows]
        return [waveform_reader(row, root) for row in batch_rows]

    def write(batch_rows: list[dict[str, Any]], results: list[UtteranceFeatures]) -> None:
        for row, features in zip(batch_rows, results, strict=True):
            writer.add(row["utterance"], features)
            progress.advance(row["seconds"])

    with (
        ShardWriter(
            path,
            shard_header(rows, settings, representation, code_sha256, pretrained_weights),
            representation.dtype,
            codebook,
        ) as writer,
        WorkProgress(label, float(rows["seconds"].sum()), "seconds of audio") as progress,
        ThreadPoolExecutor(1) as pool,
    ):
        written: Future[None] | None = None
        for batch, inputs in prefetch(batches, read_inputs):
            batch_rows = [utterances[index] for index in batch]
            results = extractor.extract(batch_rows, inputs)
            if written is not None:
                written.result()  # at most one batch waits, and an error stops the extraction
            written = pool.submit(write, batch_rows, results)
        if written is not None:
            written.result()
        writer.finish(rows["utterance"].to_list())


def shard_header(
    rows: pl.DataFrame,
    settings: Any,
    representation: Any,
    code_sha256: str,
    pretrained_weights: str,
) -> ShardHeader:
    """Return the header of a feature shard.

    Parameters
    ----------
    rows : DataFrame
        The shard's utterances (schema `EXTRACTION_INPUTS`).
    settings : Settings
        Settings of the representation.
    representation : Representation
        The representation.
    code_sha256 : str
        Digest of the code that determines the features.
    pretrained_weights : str
        Source of the pre-trained weights; empty if there are none.

    Returns
    -------
    ShardHeader
        Provenance and dimensions of the features.
    """
    return ShardHeader(
        representation=canonical_json(settings.model_dump(mode="json")),
        dimension=representation.dimension,
        frame_rate=representation.frame_rate,
        code_sha256=code_sha256,
        shard_sha256=digest(rows.to_dicts()),
        checkpoint_sha256=getattr(representation, "checkpoint_sha256", ""),
        layers=tuple(getattr(representation, "layers", None) or ()),
        pretrained_weights=pretrained_weights,
        versions=canonical_json(feature_versions(settings.kind)),
    )


def _extract(
    representation: Representation, rows: Sequence[dict[str, Any]], inputs: list[Any]
) -> list[UtteranceFeatures]:
    keys = ", ".join(row["utterance"] for row in rows)
    try:
        results = representation.extract(inputs)
    except UserError as error:
        if len(rows) > 1:  # find the utterance that causes the error
            for row, utterance_input in zip(rows, inputs, strict=True):
                _extract(representation, [row], [utterance_input])
        advice = "; raise audio.minimum_seconds" if isinstance(error, AudioError) else ""
        raise UserError(f"{keys}: {error}{advice}") from None
    if not isinstance(results, Sequence) or len(results) != len(rows):
        count = len(results) if isinstance(results, Sequence) else type(results).__name__
        raise StoreError(
            f"{keys}: the representation returned {count} results for {len(rows)} utterances"
        )
    features = [_as_features(result, row) for result, row in zip(results, rows, strict=True)]
    return [_add_seconds(each, row) for each, row in zip(features, rows, strict=True)]


def _as_features(result: Any, row: dict[str, Any]) -> UtteranceFeatures:
    """Convert the result of a representation, an array or `UtteranceFeatures`."""
    features = result if isinstance(result, UtteranceFeatures) else UtteranceFeatures(result)
    try:
        frames = np.asarray(features.frames)
        characters = features.characters
        characters = None if characters is None else np.asarray(characters, dtype=np.int32)
    except (ValueError, TypeError, RuntimeError) as error:
        raise StoreError(
            f"{row['utterance']}: the representation returned no array of numbers "
            f"({error_summary(error)})"
        ) from None
    if frames.dtype.kind not in "fiub":
        raise StoreError(
            f"{row['utterance']}: the representation returned {frames.dtype}, not numbers"
        )
    return dataclasses.replace(features, frames=frames, characters=characters)


def _add_seconds(features: UtteranceFeatures, row: dict[str, Any]) -> UtteranceFeatures:
    """Add the times of the tokens, from the corpus's word alignment."""
    if features.characters is None:
        return features
    seconds = token_seconds(row["transcript"], features.characters, row["words"])
    return dataclasses.replace(features, seconds=seconds)
