"""Tested recordings and speakers of a study that are in the speech of a pre-training."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from emoscale.audit.duplicates import shared_recordings
from emoscale.audit.measurement import recording_set
from emoscale.config.corpus import CORPUS_SEPARATOR, RELEASES

_PUBLIC_CORPORA = RELEASES
"""Corpora whose name identifies their speakers; a table of recordings (csv) may be any corpus."""

_LISTED_UTTERANCES = 20


@dataclass(frozen=True)
class UnlabelledSpeech:
    """Speech of a pre-training."""

    recordings: pl.DataFrame
    """Usable recordings (schema `pretraining.speech.SPEECH`)."""
    root: Path
    """Root folder."""


@dataclass(frozen=True)
class StudyRecordings:
    """Recordings of a study's corpus."""

    recordings: pl.DataFrame
    """All usable recordings (schema `RECORDINGS`)."""
    measurements: pl.DataFrame
    """Their fingerprints (schema `MEASUREMENTS`)."""
    root: Path
    """Root folder of the corpus."""


def all_tested_utterances(folds: Iterable[pl.DataFrame]) -> set[str]:
    """Return the utterances that are tested in any fold.

    Parameters
    ----------
    folds : iterable of DataFrame
        Folds (`fold_schema`).

    Returns
    -------
    set of str
        Their keys.
    """
    return {key for fold in folds for key in fold.filter(role="test")["utterance"]}


def find_overlap(
    speech: Sequence[UnlabelledSpeech], study: StudyRecordings, tested: set[str], threads: int = 1
) -> dict[str, Any]:
    """Find the tested recordings and speakers that unlabelled speech holds.

    A recording is found by its samples, or as a modified copy as in the audit; a recording within a
    longer one is not found. A speaker is found by any recording of the study, tested or not, and by
    name in the same corpus: EMO-DB, IEMOCAP, or one with the same reader and root folder.

    Parameters
    ----------
    speech : sequence of UnlabelledSpeech
        The speech of all pre-trainings that led to the weights.
    study : StudyRecordings
        The recordings of the study.
    tested : set of str
        Keys of the tested utterances.
    threads : int
        Number of threads.

    Returns
    -------
    dict
        `tested` and `tested_speakers`: numbers of tested recordings and speakers; `recordings` and
        `speakers`: how many of them the speech holds; `utterances`: the first keys of these
        recordings.

    Raises
    ------
    AudioError
        If a recording cannot be read.
    """
    table = study.recordings
    is_tested = pl.col("utterance").is_in(list(tested))
    speakers = table.filter(is_tested)["speaker"].unique()
    compared = table.filter(pl.col("speaker").is_in(speakers.implode()))
    measurements = study.measurements.join(compared, on="utterance", how="semi")
    recordings = recording_set(compared, measurements, study.root)
    digests: set[str] = set()
    names: set[tuple[str, str]] = set()
    for each in speech:
        other = recording_set(each.recordings, each.recordings, each.root)
        digests |= shared_recordings(recordings, other, threads)
        names |= _comparable_names(each, study.root)
    shared = compared.filter(pl.col("audio_sha256").is_in(list(digests)))
    shared_speakers = {*shared["speaker"]} | {
        speaker
        for corpus, speaker in compared.select("corpus", "speaker").iter_rows()
        if (corpus, _without_corpus(corpus, speaker)) in names
    }
    shared_tested = shared.filter(is_tested)["utterance"].sort()
    return {
        "tested": len(tested),
        "recordings": len(shared_tested),
        "speakers": len(shared_speakers),
        "tested_speakers": len(speakers),
        "utterances": shared_tested[:_LISTED_UTTERANCES].to_list(),
    }


def _comparable_names(speech: UnlabelledSpeech, root: Path) -> set[tuple[str, str]]:
    """Corpus and name of the speakers whose names mean the same in a study with this root."""
    has_same_root = os.path.realpath(speech.root) == os.path.realpath(root)
    known = speech.recordings.drop_nulls("speaker").select("corpus", "speaker").unique()
    return {
        (corpus, _without_corpus(corpus, speaker))
        for corpus, speaker in known.iter_rows()
        if has_same_root or corpus in _PUBLIC_CORPORA
    }


def _without_corpus(corpus: str, speaker: str) -> str:
    """Name of a speaker as in the corpus itself, without the prefix that `several` adds."""
    return speaker.removeprefix(f"{corpus}{CORPUS_SEPARATOR}")


def overlap_note(overlap: dict[str, Any]) -> str:
    """Return the sentence on an overlap for a table.

    Parameters
    ----------
    overlap : dict
        Return value of `find_overlap`.

    Returns
    -------
    str
        Empty without an overlap.

    Examples
    --------
    >>> overlap_note(
    ...     {"tested": 9, "recordings": 2, "speakers": 3, "tested_speakers": 4}
    ... )  # doctest: +ELLIPSIS
    'the weights were pre-trained on speech of 3 of 4 tested speakers, with 2 of 9 ...'
    >>> overlap_note({"tested": 9, "recordings": 0, "speakers": 3, "tested_speakers": 4})
    'the weights were pre-trained on speech of 3 of 4 tested speakers, without tested recordings'
    >>> overlap_note({"tested": 9, "recordings": 0, "speakers": 0, "tested_speakers": 4})
    ''
    """
    if not overlap["speakers"]:
        return ""
    count = overlap["recordings"]
    recordings = (
        f"with {count:,} of {overlap['tested']:,} tested recordings"
        if count
        else "without tested recordings"
    )
    return (
        f"the weights were pre-trained on speech of {overlap['speakers']:,} of "
        f"{overlap['tested_speakers']:,} tested speakers, {recordings}"
    )
