"""Findings about class and speaker balance, repeated text, durations and rater agreement."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from emoscale.audit.finding import ERROR, NOTE, WARNING, Finding, abbreviate_list
from emoscale.config.corpus import AuditSettings

CLASS_IMBALANCE = 4.0
SPEAKER_IMBALANCE = 5.0
"""Ratio of the largest to the smallest count from which a note is issued."""

DOMINANT_SPEAKER = 1 / 3
"""Fraction of the utterances above which a single speaker is a warning."""

SHORT_SECONDS, LONG_SECONDS = 0.5, 30.0
"""Durations below and above which utterances are noted, seconds."""

DURATION_RATIO = 1.5
"""Ratio of the longest to the shortest median duration of a class from which a note is issued."""

NO_STYLE = "no style"


def findings_about_balance(labelled: pl.DataFrame, settings: AuditSettings) -> Iterator[Finding]:
    """Find imbalanced classes and speakers, and classes missing from a speaker or fold unit.

    Parameters
    ----------
    labelled : DataFrame
        Utterance table, utterances of the study only.
    settings : AuditSettings
        Fold unit and tested units.

    Yields
    ------
    Finding
        Errors, warnings and notes.
    """
    for column, limit in (("label", CLASS_IMBALANCE), ("speaker", SPEAKER_IMBALANCE)):
        counts = labelled.group_by(column).len().sort("len", column)
        (rarest, fewest), (commonest, most) = counts.row(0), counts.row(-1)
        if most >= limit * fewest:
            plural = "classes" if column == "label" else "speakers"
            detail = f"{commonest} has {most} utterances, {rarest} has {fewest}"
            yield Finding(f"uneven {plural}", NOTE, commonest, detail, rarest, most / fewest)
    speaker, utterances = labelled["speaker"].value_counts().sort("count", "speaker").row(-1)
    fraction = utterances / len(labelled)
    if fraction > DOMINANT_SPEAKER:
        detail = (
            f"speaker {speaker} has {fraction:.0%} of the utterances, so the scores and their "
            "differences depend strongly on this one speaker"
        )
        yield Finding("one speaker dominates", WARNING, speaker, detail, value=fraction)
    classes = sorted(labelled["label"].unique())
    for column in dict.fromkeys(["speaker", "session", settings.column]):
        present = labelled.drop_nulls(column).group_by(column).agg(pl.col("label").unique())
        for name, labels in present.sort(column).iter_rows():
            missing = [label for label in classes if label not in labels]
            if not missing:
                continue
            detail = f"{column} {name} has no utterance of class {abbreviate_list(missing)}"
            is_error = column == settings.unit != "speaker" and settings.tests(name)
            if is_error:
                detail += f", and a fold tests a whole {column}; use other folds or fewer classes"
            severity = ERROR if is_error else NOTE
            yield Finding(
                f"class missing from a {column}", severity, name, detail, ", ".join(missing)
            )


def findings_about_text(labelled: pl.DataFrame, settings: AuditSettings) -> Iterator[Finding]:
    """Find, by style, the fraction of utterances whose text also occurs in another fold unit.

    Parameters
    ----------
    labelled : DataFrame
        Utterance table with transcripts, utterances of the study only.
    settings : AuditSettings
        Fold unit.

    Yields
    ------
    Finding
        One warning per style with repeated text.
    """
    another_unit = (
        "of another speaker" if settings.column == "speaker" else (f"in another {settings.unit}")
    )
    transcribed = labelled.filter(pl.col("text_key").fill_null("") != "")
    texts = transcribed.with_columns(
        pl.col("style").fill_null(NO_STYLE),
        repeated=pl.col(settings.column).n_unique().over("text_key") > 1,
    )
    for (style,), rows in sorted(texts.group_by("style"), key=lambda item: str(item[0])):
        fraction = float(rows["repeated"].sum()) / len(rows)
        if not fraction:
            continue
        prefix = "" if style == NO_STYLE else f"{style}: "
        detail = (
            f"{prefix}{fraction:.0%} of the utterances with a transcript have a text that also "
            f"occurs {another_unit}: text models, and in part speech models, can memorise it in "
            "training"
        )
        yield Finding("repeated text", WARNING, str(style), detail, value=fraction)


def findings_about_durations(labelled: pl.DataFrame) -> Iterator[Finding]:
    """Find very short and very long utterances, and classes that differ in duration.

    Parameters
    ----------
    labelled : DataFrame
        Utterance table, utterances of the study only.

    Yields
    ------
    Finding
        Notes.
    """
    for extreme, rows in (
        ("short", labelled.filter(pl.col("seconds") < SHORT_SECONDS).sort("seconds")),
        ("long", labelled.filter(pl.col("seconds") > LONG_SECONDS).sort(-pl.col("seconds"))),
    ):
        if len(rows):
            name, seconds = rows.select("utterance", "seconds").row(0)
            limit = (
                f"shorter than {SHORT_SECONDS}"
                if extreme == "short"
                else f"longer than {LONG_SECONDS:.0f}"
            )
            detail = (
                f"{len(rows)} utterances are {limit} s; the {extreme}est is {name}: {seconds:.2f} s"
            )
            yield Finding(f"very {extreme} utterances", NOTE, name, detail, value=float(len(rows)))
    medians = labelled.group_by("label").agg(pl.col("seconds").median()).sort("seconds", "label")
    (shortest, low), (longest, high) = medians.row(0), medians.row(-1)
    if high >= DURATION_RATIO * low:
        detail = (
            f"the median duration is {high:.1f} s for {longest} and {low:.1f} s for {shortest}: "
            "models can use the duration"
        )
        yield Finding("durations differ by class", NOTE, longest, detail, shortest, high / low)


def findings_about_labels(utterances: pl.DataFrame, excluded: list[str]) -> Iterator[Finding]:
    """Find utterances without a majority label, and utterances excluded by the configuration.

    Parameters
    ----------
    utterances : DataFrame
        Utterance table, including utterances outside the study.
    excluded : list of str
        Keys of the utterances under `labels.exclude`.

    Yields
    ------
    Finding
        Notes.
    """
    if excluded:
        names = abbreviate_list(sorted(excluded))
        detail = f"labels.exclude leaves out {len(excluded)} utterances: {names}"
        yield Finding(
            "excluded by the study", NOTE, "labels.exclude", detail, value=float(len(excluded))
        )
    rated = utterances.filter(pl.col("votes").list.len() > 0)
    without_majority = rated.filter(
        ~pl.Series(map(_has_majority, rated["votes"].to_list()), dtype=pl.Boolean)
    )
    outside = without_majority.filter(
        pl.col("label").is_null(), ~pl.col("utterance").is_in(excluded)
    )
    if len(outside):
        detail = (
            f"{len(outside)} of {len(rated)} rated utterances have no label from more than half of "
            "their raters and are outside the study: they are the ambiguous ones, so scores are "
            "of the easier rest"
        )
        yield Finding(
            "left out without majority", NOTE, "raters", detail, value=float(len(outside))
        )
    inside = without_majority.filter(pl.col("label").is_not_null())
    if len(inside):
        detail = (
            f"{len(inside)} utterances of the study have a label that not more than half of their "
            "raters chose"
        )
        yield Finding("label without majority", NOTE, "raters", detail, value=float(len(inside)))


def _has_majority(votes: list[dict[str, str]]) -> bool:
    """Whether more than half of the raters chose the same label."""
    raters_of: dict[str, set[str]] = {}
    for vote in votes:
        raters_of.setdefault(vote["label"], set()).add(vote["rater"])
    raters = {vote["rater"] for vote in votes}
    return 2 * max(map(len, raters_of.values())) > len(raters)
