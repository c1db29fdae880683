"""Checks every recording that a reader named, and makes the table of those that can be used."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import polars as pl

from emoscale.audio.decoding import PASSING_ERROR, check_recording, read_recording
from emoscale.config.corpus import AudioChecks
from emoscale.corpus.reading import Reading, Rejected, Utterance, target_outside, text_key
from emoscale.runtime.errors import AudioError, CorpusError, one_line
from emoscale.runtime.progress import WorkProgress
from emoscale.tables.parquet import dataframe_of
from emoscale.tables.schemas import RECORDINGS, REJECTED, SHARD, TEXTS


def check_shard(
    utterances: Sequence[Utterance], root: Path, checks: AudioChecks, threads: int = 1
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Decode the utterances' audio; give those that can be used (`SHARD`) and the others
    (`REJECTED`), in the order of their keys.

    Raises `CorpusError` where a disk or a network fails, or the whole corpus is gone.
    """
    rows: list[dict[str, object]] = []
    rejected: list[Rejected] = []
    with (
        WorkProgress("checking recordings", len(utterances), "utterances") as progress,
        ThreadPoolExecutor(threads) as pool,
    ):
        for outcome in pool.map(lambda utterance: _check(utterance, root, checks), utterances):
            if isinstance(outcome, Rejected):
                rejected.append(outcome)
            else:
                rows.append(outcome)
            progress.advance(1)
    return dataframe_of(rows, SHARD).sort("utterance"), _rejected_frame(rejected)


def texts_of(utterances: Sequence[Utterance], shard: pl.DataFrame) -> pl.DataFrame:
    """The texts (`TEXTS`) of those utterances that are in the shard."""
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


def gather_recordings(
    reading: Reading, root: Path, usable: pl.DataFrame, rejected: pl.DataFrame
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Join what the corpus says with what its audio is: the tables of recordings and of the rest.

    `usable` and `rejected` are of `check_shard`, all shards together. Each utterance of `reading`
    is a row in exactly one of the two tables. Raises `CorpusError` when no recording at all can
    be used, or where the corpus has changed since the shards were read.
    """
    checked = {row["utterance"]: row for row in usable.iter_rows(named=True)}
    known = checked.keys() | set(rejected["utterance"])
    there = {each.utterance for each in reading.utterances}
    if known != there:
        raise CorpusError(
            f"{root}: the corpus changed while it was read ({min(known ^ there)}): start again"
        )
    left_out = pl.concat([_rejected_frame(reading.rejected), rejected])
    if not checked:
        first = rejected["detail"][0] if len(rejected) else "there is none"
        raise CorpusError(
            f"{root}: none of {len(reading.utterances)} recordings can be used; the first reason: "
            f"{first}"
        )
    rows = [
        {
            **{key: value for key, value in asdict(each).items() if key not in TEXTS.names},
            "corpus": each.corpus or reading.corpus,
            **checked[each.utterance],
        }
        for each in reading.utterances
        if each.utterance in checked
    ]
    recordings = dataframe_of(rows, RECORDINGS).sort("utterance")
    return recordings, left_out.sort("reason", "file", "utterance", "location", nulls_last=True)


def _check(utterance: Utterance, root: Path, checks: AudioChecks) -> dict[str, object] | Rejected:
    target = target_outside(root / utterance.audio, root)
    if target is not None:
        return Rejected(
            utterance.audio,
            "outside the corpus",
            one_line(
                f"{utterance.audio} is a link to {target}, outside the corpus; copy the file, or "
                "set corpus.root to a folder that holds both"
            ),
            utterance.utterance,
        )
    try:
        recording = read_recording(root / utterance.audio, utterance.start, utterance.end)
        check_recording(recording, checks, utterance.audio)
    except AudioError as error:
        _check_that_it_is_no_fault_of_the_disk(error, root)
        return Rejected(utterance.audio, error.reason, str(error), utterance.utterance)
    return {
        "utterance": utterance.utterance,
        "audio": utterance.audio,
        "start": utterance.start,
        "end": utterance.end,
        "seconds": recording.seconds,
        "sample_rate": recording.sample_rate,
        "channels": recording.channels,
        "audio_sha256": recording.sha256(),
    }


def _check_that_it_is_no_fault_of_the_disk(error: AudioError, root: Path) -> None:
    """Raises `CorpusError` otherwise: what was left out for it would stay out of the study."""
    if error.reason == PASSING_ERROR:
        raise CorpusError(f"{error}; mend the disk or the network, then run again")
    if error.reason == "missing" and not (root.is_dir() and any(root.iterdir())):
        raise CorpusError(
            f"{root}: the corpus is not there any more; mount or copy it again, then run again"
        )


def _rejected_frame(rejected: Sequence[Rejected]) -> pl.DataFrame:
    return dataframe_of([asdict(row) for row in rejected], REJECTED)
