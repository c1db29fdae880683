"""Checks of the recordings that a reader lists, and the tables of usable and rejected ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import polars as pl
import pyarrow as pa

from emoscale.audio.decoding import TRANSIENT_ERROR, Recording, check_recording, read_recording
from emoscale.config.corpus import AudioChecks
from emoscale.corpus.readers import (
    CorpusManifest,
    Rejection,
    Utterance,
    external_link_target,
    text_key,
)
from emoscale.runtime.errors import AudioError, CorpusError, one_line
from emoscale.runtime.progress import WorkProgress
from emoscale.tables.parquet import dataframe_of
from emoscale.tables.schemas import RECORDINGS, REJECTED, SHARD, TEXTS


def check_shard(
    utterances: Sequence[Utterance], root: Path, checks: AudioChecks, threads: int = 1
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Decode and check the audio of a shard's utterances.

    Parameters
    ----------
    utterances : sequence of Utterance
        Utterances of the shard.
    root : Path
        The corpus root.
    checks : AudioChecks
        Limits of duration and peak.
    threads : int
        Number of recordings decoded in parallel.

    Returns
    -------
    usable : DataFrame
        Usable utterances (`tables.schemas.SHARD`), sorted by key.
    rejected : DataFrame
        The others, with the reason (`tables.schemas.REJECTED`).

    Raises
    ------
    CorpusError
        If the disk or the network fails, or the whole corpus is no longer available.
    """
    return check_and_measure(utterances, root, checks, lambda recording: {}, SHARD, threads)


def check_and_measure(
    utterances: Sequence[Utterance],
    root: Path,
    checks: AudioChecks,
    measure: Callable[[Recording], dict[str, object]],
    schema: pa.Schema,
    threads: int = 1,
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Decode and check recordings as `check_shard`, and measure each usable one.

    Parameters
    ----------
    utterances : sequence of Utterance
        The utterances.
    root : Path
        The corpus root.
    checks : AudioChecks
        Limits of duration and peak.
    measure : callable
        Returns values by column.
    schema : pyarrow.Schema
        The columns of `SHARD` and those of `measure`.
    threads : int
        Number of recordings decoded in parallel.

    Returns
    -------
    usable : DataFrame
        Usable utterances (`schema`), sorted by key.
    rejected : DataFrame
        The others, with the reason (`tables.schemas.REJECTED`).

    Raises
    ------
    CorpusError
        If the disk or the network fails, or the whole corpus is no longer available.
    """

    def check(utterance: Utterance) -> dict[str, object] | Rejection:
        return _check(utterance, root, checks, measure)

    rows: list[dict[str, object]] = []
    rejected: list[Rejection] = []
    with (
        WorkProgress("checking recordings", len(utterances), "utterances") as progress,
        ThreadPoolExecutor(threads) as pool,
    ):
        for result in pool.map(check, utterances):
            if isinstance(result, Rejection):
                rejected.append(result)
            else:
                rows.append(result)
            progress.advance(1)
    return dataframe_of(rows, schema).sort("utterance"), rejected_table(rejected)


def texts_table(utterances: Sequence[Utterance], shard: pl.DataFrame) -> pl.DataFrame:
    """Return the texts of the usable utterances.

    Parameters
    ----------
    utterances : sequence of Utterance
        Utterances of the corpus.
    shard : DataFrame
        Usable utterances of one or more shards.

    Returns
    -------
    DataFrame
        Transcripts, word times and text keys (`tables.schemas.TEXTS`), sorted by key.
    """
    usable = set(shard["utterance"])
    rows: list[dict[str, object]] = [
        {
            "utterance": each.utterance,
            "transcript": each.transcript,
            "words": each.words,
            "text_key": text_key(each.transcript),
        }
        for each in utterances
        if each.utterance in usable
    ]
    return dataframe_of(rows, TEXTS).sort("utterance")


def merge_shards(
    manifest: CorpusManifest, root: Path, usable: pl.DataFrame, rejected: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Join the corpus's metadata with the results of `check_shard`.

    Parameters
    ----------
    manifest : CorpusManifest
        The corpus's utterances; each becomes a row in exactly one of the two tables.
    root : Path
        The corpus root, for error messages.
    usable : DataFrame
        Usable utterances of all shards.
    rejected : DataFrame
        Rejected utterances of all shards.

    Returns
    -------
    recordings : DataFrame
        Usable recordings (`tables.schemas.RECORDINGS`), sorted by key.
    rejected : DataFrame
        All rejected entries (`tables.schemas.REJECTED`), sorted by reason.

    Raises
    ------
    CorpusError
        If no recording is usable, or the corpus has changed since the shards were read.
    """
    checked = {row["utterance"]: row for row in usable.iter_rows(named=True)}
    in_shards = checked.keys() | set(rejected["utterance"])
    in_manifest = {each.utterance for each in manifest.utterances}
    if in_shards != in_manifest:
        raise CorpusError(
            f"{root}: the corpus changed while it was read ({min(in_shards ^ in_manifest)}); run "
            "again"
        )
    all_rejected = pl.concat([rejected_table(manifest.rejected), rejected])
    if not checked:
        first = rejected["detail"][0] if len(rejected) else "no recordings"
        raise CorpusError(
            f"{root}: none of {len(manifest.utterances)} recordings can be used; the first reason: "
            f"{first}"
        )
    rows = [
        {
            **{key: value for key, value in asdict(each).items() if key not in TEXTS.names},
            "corpus": each.corpus or manifest.corpus,
            **checked[each.utterance],
        }
        for each in manifest.utterances
        if each.utterance in checked
    ]
    recordings = dataframe_of(rows, RECORDINGS).sort("utterance")
    return recordings, sort_rejected(all_rejected)


def rejected_table(rejected: Sequence[Rejection]) -> pl.DataFrame:
    """Return the table of rejected entries.

    Parameters
    ----------
    rejected : sequence of Rejection
        The entries.

    Returns
    -------
    DataFrame
        The entries (`tables.schemas.REJECTED`), in order.
    """
    return dataframe_of([asdict(row) for row in rejected], REJECTED)


def sort_rejected(rejected: pl.DataFrame) -> pl.DataFrame:
    """Sort rejected entries by reason, then by file.

    Parameters
    ----------
    rejected : DataFrame
        Rejected entries (`tables.schemas.REJECTED`).

    Returns
    -------
    DataFrame
        The sorted entries.
    """
    return rejected.sort("reason", "file", "utterance", "location", nulls_last=True)


def _check(
    utterance: Utterance,
    root: Path,
    checks: AudioChecks,
    measure: Callable[[Recording], dict[str, object]],
) -> dict[str, object] | Rejection:
    target = external_link_target(root / utterance.audio, root)
    if target is not None:
        return Rejection(
            utterance.audio,
            "outside the corpus",
            one_line(
                f"{utterance.audio} is a link to {target}, outside the corpus; copy the file, or "
                "set root to a folder that contains both"
            ),
            utterance.utterance,
        )
    try:
        recording = read_recording(root / utterance.audio, utterance.start, utterance.end)
        check_recording(recording, checks, utterance.audio)
        maximum = utterance.maximum_seconds
        if maximum is not None and recording.seconds > maximum:
            raise AudioError(
                "longer than its label",
                f"{utterance.audio}: lasts {recording.seconds:.1f} s, but the corpus's times allow "
                f"at most {maximum:.1f} s; it contains other speech",
            )
    except AudioError as error:
        _raise_if_transient(error, root)
        return Rejection(utterance.audio, error.reason, str(error), utterance.utterance)
    return {
        "utterance": utterance.utterance,
        "audio": utterance.audio,
        "start": utterance.start,
        "end": utterance.end,
        "seconds": recording.seconds,
        "sample_rate": recording.sample_rate,
        "channels": recording.channels,
        "audio_sha256": recording.sha256(),
        **measure(recording),
    }


def _raise_if_transient(error: AudioError, root: Path) -> None:
    """Raise if disk or network failed: a recording rejected for that would stay rejected."""
    if error.reason == TRANSIENT_ERROR:
        raise CorpusError(f"{error}; check the disk or the network, then run again")
    if error.reason == "missing" and not (root.is_dir() and any(root.iterdir())):
        raise CorpusError(
            f"{root}: the corpus is no longer available; mount or copy it again, then run again"
        )
