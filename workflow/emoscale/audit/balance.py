"""Classes, speakers, texts and lengths: what is rare, missing, or said again."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from emoscale.audit.finding import BREAKS, NOTE, WEAKENS, Finding, named
from emoscale.config.corpus import AuditSettings

UNEVEN_CLASSES = 4.0
UNEVEN_SPEAKERS = 5.0
"""Largest count against smallest, from which on it is worth a note."""

SHORT_SECONDS, LONG_SECONDS = 0.5, 30.0
UNEVEN_DURATIONS = 1.5
NO_STYLE = "no style"


def findings_about_balance(labelled: pl.DataFrame, settings: AuditSettings) -> Iterator[Finding]:
    """Classes and speakers of very different size; a class that a speaker or session lacks."""
    for column, limit in (("label", UNEVEN_CLASSES), ("speaker", UNEVEN_SPEAKERS)):
        counts = labelled.group_by(column).len().sort("len", column)
        (least, few), (most, many) = counts.row(0), counts.row(-1)
        if many >= limit * few:
            what = "classes" if column == "label" else "speakers"
            detail = f"{most} has {many} utterances, {least} has {few}"
            yield Finding(f"uneven {what}", NOTE, most, detail, least, many / few)
    classes = sorted(labelled["label"].unique())
    for column in dict.fromkeys(["speaker", "session", settings.column]):
        there = labelled.drop_nulls(column).group_by(column).agg(pl.col("label").unique())
        for name, labels in there.sort(column).iter_rows():
            missing = [label for label in classes if label not in labels]
            if not missing:
                continue
            detail = f"{column} {name} has no utterance of class {named(missing)}"
            breaks = column == settings.unit != "speaker" and settings.tests(name)
            if breaks:
                detail += f", and a fold tests a whole {column}; use other folds or fewer classes"
            severity = BREAKS if breaks else NOTE
            yield Finding(
                f"class missing from a {column}", severity, name, detail, ", ".join(missing)
            )


def findings_about_text(labelled: pl.DataFrame, settings: AuditSettings) -> Iterator[Finding]:
    """By style, the share of utterances whose exact words are said in another fold unit, too."""
    other = "by another speaker" if settings.column == "speaker" else f"in another {settings.unit}"
    worded = labelled.filter(pl.col("text_key").fill_null("") != "")
    said = worded.with_columns(
        pl.col("style").fill_null(NO_STYLE),
        elsewhere=pl.col(settings.column).n_unique().over("text_key") > 1,
    )
    for (style,), rows in sorted(said.group_by("style"), key=lambda item: str(item[0])):
        share = float(rows["elsewhere"].sum()) / len(rows)
        if not share:
            continue
        where = "" if style == NO_STYLE else f"{style}: "
        detail = (
            f"{where}{share:.0%} of the utterances with a transcript have words that are said "
            f"{other}, too: a model of the text, and one of speech in part, can know them from "
            "training"
        )
        yield Finding("repeated text", WEAKENS, str(style), detail, value=share)


def findings_about_durations(labelled: pl.DataFrame) -> Iterator[Finding]:
    """Very short and very long utterances, and classes whose utterances differ in length."""
    for word, rows in (
        ("short", labelled.filter(pl.col("seconds") < SHORT_SECONDS).sort("seconds")),
        ("long", labelled.filter(pl.col("seconds") > LONG_SECONDS).sort(-pl.col("seconds"))),
    ):
        if len(rows):
            name, seconds = rows.select("utterance", "seconds").row(0)
            than = (
                f"shorter than {SHORT_SECONDS}" if word == "short" else f"over {LONG_SECONDS:.0f}"
            )
            detail = (
                f"{len(rows)} utterances are {than} s; the {word}est is {name}: {seconds:.2f} s"
            )
            yield Finding(f"very {word} utterances", NOTE, name, detail, value=float(len(rows)))
    medians = labelled.group_by("label").agg(pl.col("seconds").median()).sort("seconds", "label")
    (shortest, low), (longest, high) = medians.row(0), medians.row(-1)
    if high >= UNEVEN_DURATIONS * low:
        detail = (
            f"half of {longest} is longer than {high:.1f} s, half of {shortest} than {low:.1f} s: "
            "a model may hear the length"
        )
        yield Finding("durations differ by class", NOTE, longest, detail, shortest, high / low)


def findings_about_labels(utterances: pl.DataFrame, excluded: list[str]) -> Iterator[Finding]:
    """What has no class because the raters disagree, and what the study leaves out by name."""
    if excluded:
        detail = f"labels.exclude leaves out {len(excluded)} utterances: {named(sorted(excluded))}"
        yield Finding(
            "excluded by the study", NOTE, "labels.exclude", detail, value=float(len(excluded))
        )
    voted = utterances.filter(pl.col("votes").list.len() > 0)
    without = voted.filter(
        ~pl.Series(map(_has_majority, voted["votes"].to_list()), dtype=pl.Boolean)
    )
    outside = without.filter(pl.col("label").is_null(), ~pl.col("utterance").is_in(excluded))
    if len(outside):
        detail = (
            f"{len(outside)} of {len(voted)} rated utterances are outside the study and have no "
            "label that more than half of their raters gave: they are the hard ones, so scores are "
            "of the easier rest"
        )
        yield Finding(
            "left out without majority", NOTE, "raters", detail, value=float(len(outside))
        )
    inside = without.filter(pl.col("label").is_not_null())
    if len(inside):
        detail = (
            f"{len(inside)} utterances of the study have a label that is not of more than half of "
            "their raters"
        )
        yield Finding("label without majority", NOTE, "raters", detail, value=float(len(inside)))


def _has_majority(votes: list[dict[str, str]]) -> bool:
    """Whether some label was given by more than half of the raters."""
    raters_of: dict[str, set[str]] = {}
    for vote in votes:
        raters_of.setdefault(vote["label"], set()).add(vote["rater"])
    raters = {vote["rater"] for vote in votes}
    return 2 * max(map(len, raters_of.values())) > len(raters)
