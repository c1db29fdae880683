"""Utterances of the study that have no role in a fold: why, how many, and what is said of it."""

from __future__ import annotations

from typing import Any

import polars as pl

from emoscale.config.protocol import ProtocolSettings
from emoscale.runtime.errors import ProtocolError

HAS_WORDS = pl.col("text_key").fill_null("") != ""
"""An utterance without a transcript, or without a word in it, repeats nothing."""

_LOSERS = {"test": ["train", "dev"], "dev": ["train"]}


def apart_from(role: str, dealt: pl.DataFrame) -> pl.DataFrame:
    """The fold without those utterances of other roles that have a text of `role` (test or dev).

    Text of test utterances leaves training and development; that of development utterances leaves
    training. Raises `ProtocolError` where no utterance has words, or a role is left without any
    utterance.
    """
    worded = dealt.filter(HAS_WORDS)
    if not len(worded):
        raise ProtocolError(
            "protocol.text_disjoint is true and no utterance has a transcript; give the corpus's "
            "transcripts, or remove it"
        )
    texts = worded.filter(pl.col("role") == role)["text_key"].unique()
    repeats = HAS_WORDS & pl.col("text_key").is_in(texts.implode())
    kept = dealt.filter(~(repeats & pl.col("role").is_in(_LOSERS[role])))
    for loser in _LOSERS[role]:
        if loser in dealt["role"] and loser not in kept["role"]:
            raise ProtocolError(
                f"protocol.text_disjoint leaves no utterance in the role {loser}: each has the "
                f"words of one in the role {role}; use folds that differ in what is said, or "
                "remove it"
            )
    return kept


def explained_absences(
    name: str, fold: pl.DataFrame, utterances: pl.DataFrame, settings: ProtocolSettings
) -> dict[str, int]:
    """Counts of utterances without a role in the fold, and of those that have one but no words.

    `same_text`: their words are in another role, with `text_disjoint`; `not_listed`: the fold file
    does not have them, with `ignore_unmatched`; `without_words`: in training or development
    with `text_disjoint`, because they repeat nothing. Raises `ProtocolError` where an utterance
    has no role for neither reason.
    """
    labelled = utterances.filter(pl.col("label").is_not_null())
    absent = labelled.join(fold, on="utterance", how="anti")
    same_text = without_words = 0
    if settings.text_disjoint:
        roles = labelled.join(fold.select("utterance", "role"), on="utterance")
        held = roles.filter(HAS_WORDS & (pl.col("role") != "train"))["text_key"].unique()
        repeats = HAS_WORDS & pl.col("text_key").is_in(held.implode())
        same_text = len(absent.filter(repeats))
        absent = absent.filter(~repeats)
        without_words = len(roles.filter(~HAS_WORDS & (pl.col("role") != "test")))
    if len(absent) and not settings.ignore_unmatched:
        raise ProtocolError(
            f"{name}: {absent['utterance'][0]} has no role, and nothing says why; make the fold "
            "again"
        )
    return {"same_text": same_text, "not_listed": len(absent), "without_words": without_words}


def classes_missing(utterances: pl.DataFrame, classes: list[str]) -> dict[str, list[str]]:
    """Of each corpus, the study's classes that it has no utterance of, where there are any."""
    missing = {
        str(corpus): [label for label in classes if label not in own["label"]]
        for (corpus,), own in utterances.group_by("corpus")
    }
    return {corpus: missing[corpus] for corpus in sorted(missing) if missing[corpus]}


def warnings_of_absences(report: dict[str, Any]) -> list[str]:
    """Sentences on what has no role, from the report of `check_folds`."""
    left_out = [fold["left_out"] for fold in report["folds"].values()]
    sentences = []
    if report["test_units"]:
        sentences.append(f"only {', '.join(report['test_units'])} is tested, the rest learned from")
    for corpus, classes in report["classes_missing"].items():
        sentences.append(
            f"the corpus {corpus} has no utterance of {', '.join(classes)}, so that class and "
            "corpus tell of each other"
        )
    if any(fold["same_text"] for fold in left_out):
        sentences.append(
            f"text-disjoint: {_range(left_out, 'same_text')} of a fold's utterances are left out, "
            "because their words are in another role; "
            f"{_range(left_out, 'without_words')} without words stay"
        )
    if any(fold["not_listed"] for fold in left_out):
        sentences.append(
            f"{_range(left_out, 'not_listed')} of the study's utterances have no role in a fold, "
            "because the fold file does not list them"
        )
    if report["unknown_in_fold_file"]:
        sentences.append(
            f"the fold file lists {report['unknown_in_fold_file']} utterances that the corpus does "
            "not have"
        )
    return sentences


def _range(counts: list[dict[str, int]], name: str) -> str:
    least, most = min(fold[name] for fold in counts), max(fold[name] for fold in counts)
    return f"{most:,}" if least == most else f"{least:,} to {most:,}"
