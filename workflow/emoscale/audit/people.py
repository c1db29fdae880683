"""Speakers and sessions that are not what the protocol takes them for."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from emoscale.audit.finding import BREAKS, NOTE, WEAKENS, Finding, named
from emoscale.audit.guessing import Guess, guess_by
from emoscale.config.corpus import AuditSettings

GUESSED_BY = {
    "speaker": "the speaker",
    "session": "the session",
    "sex": "the speaker's sex",
    "style": "the style",
    "sample_rate": "the file's sample rate",
    "channels": "the file's number of channels",
}
"""What may tell the label without any listening, and what it is called."""

FOLLOWS_P = 0.005
"""Labels follow a property where fewer permutations than this are guessed as well."""

FOLLOWS_EXCESS = 0.1
"""And weaken the scores where a tenth of what there is to guess is guessed."""


def speakers_of_two_sexes(utterances: pl.DataFrame) -> list[tuple[str, list[str]]]:
    """Speakers whose utterances name several sexes, with an utterance of each."""
    known = utterances.drop_nulls("sex").sort("utterance")
    first = known.unique(["speaker", "sex"], keep="first", maintain_order=True)
    several = first.filter(pl.len().over("speaker") > 1).sort("speaker", "sex")
    return [
        (str(speaker), rows["utterance"].to_list())
        for (speaker,), rows in several.group_by("speaker", maintain_order=True)
    ]


def two_sexes_sentence(speaker: str, examples: list[str]) -> str:
    """What to do about a speaker of `speakers_of_two_sexes`."""
    return (
        f"speaker {speaker} has two sexes ({' and '.join(examples)} differ): two people have one "
        "name, or a sex is wrong; correct the corpus, or put the wrong ones under labels.exclude"
    )


def findings_about_speakers(utterances: pl.DataFrame, settings: AuditSettings) -> Iterator[Finding]:
    """Two sexes; two sessions, which breaks a protocol whose folds are sessions."""
    labelled = utterances.drop_nulls("label")
    inside = dict(speakers_of_two_sexes(labelled))
    for speaker, examples in speakers_of_two_sexes(utterances):
        severity = BREAKS if speaker in inside else NOTE
        sentence = two_sexes_sentence(speaker, inside.get(speaker, examples))
        yield Finding("speaker of two sexes", severity, speaker, sentence, " and ".join(examples))
    sessions = (
        labelled.drop_nulls("session")
        .group_by("speaker")
        .agg(pl.col("session").unique().sort())
        .filter(pl.col("session").list.len() > 1)
        .sort("speaker")
    )
    for speaker, names in sessions.iter_rows():
        both = " and ".join(names) if len(names) == 2 else named(names)
        detail = f"speaker {speaker} speaks in the sessions {both}"
        breaks = settings.unit == "session" and settings.tests(*names)
        if breaks:
            detail += (
                ", and sessions are the folds: who is tested would be known from training; use "
                "protocol.fold_unit: speakers, or correct the corpus"
            )
        severity = BREAKS if breaks else NOTE
        yield Finding("speaker in two sessions", severity, speaker, detail, ", ".join(names))


def guesses(labelled: pl.DataFrame) -> dict[str, Guess]:
    """How far each property of `GUESSED_BY` alone tells the label, where it varies."""
    found = {column: guess_by(column, labelled) for column in GUESSED_BY}
    return {column: guess for column, guess in found.items() if guess is not None}


def findings_about_guesses(guessed: dict[str, Guess], chance: float) -> Iterator[Finding]:
    """Labels that follow who speaks, or how it was recorded."""
    for column, guess in guessed.items():
        if guess.p_value >= FOLLOWS_P:
            continue
        detail = (
            f"{GUESSED_BY[column]} alone tells the label with a UA of "
            f"{guess.unweighted_accuracy:.0%} ({guess.by_accident:.0%} by accident, "
            f"p = {guess.p_value:.4f}, chance {chance:.0%})"
        )
        severity = WEAKENS if guess.excess >= FOLLOWS_EXCESS else NOTE
        yield Finding(
            f"labels follow {GUESSED_BY[column]}",
            severity,
            column,
            detail,
            value=guess.unweighted_accuracy,
        )
