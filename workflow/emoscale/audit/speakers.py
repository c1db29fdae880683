"""Findings about speakers: conflicting sex labels, and speakers in several sessions."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from emoscale.audit.finding import ERROR, NOTE, Finding, abbreviate_list
from emoscale.config.corpus import AuditSettings


def speakers_with_conflicting_sex(utterances: pl.DataFrame) -> list[tuple[str, list[str]]]:
    """Return the speakers whose utterances are labelled with different sexes.

    Parameters
    ----------
    utterances : DataFrame
        Utterance table.

    Returns
    -------
    list of tuple
        Each such speaker with the keys of one utterance per sex.
    """
    known = utterances.drop_nulls("sex").sort("utterance")
    examples = known.unique(["speaker", "sex"], keep="first", maintain_order=True)
    conflicting = examples.filter(pl.len().over("speaker") > 1).sort("speaker", "sex")
    return [
        (str(speaker), rows["utterance"].to_list())
        for (speaker,), rows in conflicting.group_by("speaker", maintain_order=True)
    ]


def conflicting_sex_message(speaker: str, examples: list[str]) -> str:
    """Return the message about a speaker of `speakers_with_conflicting_sex`.

    Parameters
    ----------
    speaker : str
        Name of the speaker.
    examples : list of str
        Keys of one utterance per sex.

    Returns
    -------
    str
        Problem and remedy.
    """
    return (
        f"speaker {speaker} is labelled with two sexes ({' and '.join(examples)} differ): two "
        "people share a name, or a label is wrong; correct the corpus, or add the wrong utterances "
        "to labels.exclude"
    )


def findings_about_speakers(utterances: pl.DataFrame, settings: AuditSettings) -> Iterator[Finding]:
    """Find speakers with conflicting sex labels, and speakers in several sessions.

    A speaker in several sessions is an error if sessions are the fold units.

    Parameters
    ----------
    utterances : DataFrame
        Utterance table, including utterances outside the study.
    settings : AuditSettings
        Fold unit and tested units.

    Yields
    ------
    Finding
        Errors and notes.
    """
    labelled = utterances.drop_nulls("label")
    inside_study = dict(speakers_with_conflicting_sex(labelled))
    for speaker, examples in speakers_with_conflicting_sex(utterances):
        severity = ERROR if speaker in inside_study else NOTE
        detail = conflicting_sex_message(speaker, inside_study.get(speaker, examples))
        yield Finding("speaker of two sexes", severity, speaker, detail, " and ".join(examples))
    sessions = (
        labelled.drop_nulls("session")
        .group_by("speaker")
        .agg(pl.col("session").unique().sort())
        .filter(pl.col("session").list.len() > 1)
        .sort("speaker")
    )
    for speaker, names in sessions.iter_rows():
        listed = " and ".join(names) if len(names) == 2 else abbreviate_list(names)
        detail = f"speaker {speaker} speaks in the sessions {listed}"
        is_error = settings.unit == "session" and settings.tests(*names)
        if is_error:
            detail += (
                ", and sessions are the folds, so a test speaker would be known from training; "
                "use protocol.fold_unit: speakers, or correct the corpus"
            )
        severity = ERROR if is_error else NOTE
        yield Finding("speaker in two sessions", severity, speaker, detail, ", ".join(names))
