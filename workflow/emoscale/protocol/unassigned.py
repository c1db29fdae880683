"""Utterances without a role in a fold: removal of shared texts, counts by reason, and warnings."""

from __future__ import annotations

from typing import Any

import polars as pl

from emoscale.config.protocol import ProtocolSettings
from emoscale.protocol.official import IS_TEST_SPLIT
from emoscale.runtime.errors import ProtocolError

HAS_TEXT = pl.col("text_key").fill_null("") != ""
"""Expression: the utterance has a transcript with at least one word, so its text can repeat."""

_ROLES_TO_FILTER = {"test": ["train", "dev"], "dev": ["train"]}


def drop_shared_texts(role: str, assigned: pl.DataFrame) -> pl.DataFrame:
    """Drop the utterances of lower-priority roles whose text occurs in `role`.

    Texts of test utterances are removed from training and development; texts of development
    utterances are removed from training.

    Parameters
    ----------
    role : {'test', 'dev'}
        The role that keeps its texts.
    assigned : DataFrame
        Labelled utterances with the columns `role` and `text_key`.

    Returns
    -------
    DataFrame
        The rows of `assigned` that remain.

    Raises
    ------
    ProtocolError
        If no utterance has a text, or a role would become empty.
    """
    with_text = assigned.filter(HAS_TEXT)
    if not len(with_text):
        raise ProtocolError(
            "protocol.text_disjoint is true and no utterance has a transcript; add the corpus's "
            "transcripts, or remove the setting"
        )
    texts = with_text.filter(pl.col("role") == role)["text_key"].unique()
    repeated = HAS_TEXT & pl.col("text_key").is_in(texts.implode())
    remaining = assigned.filter(~(repeated & pl.col("role").is_in(_ROLES_TO_FILTER[role])))
    for filtered in _ROLES_TO_FILTER[role]:
        if filtered in assigned["role"] and filtered not in remaining["role"]:
            raise ProtocolError(
                f"protocol.text_disjoint leaves no utterance in the role {filtered}: each has the "
                f"same text as one in the role {role}; use folds with different texts, or remove "
                "the setting"
            )
    return remaining


def count_unassigned(
    name: str, fold: pl.DataFrame, utterances: pl.DataFrame, settings: ProtocolSettings
) -> dict[str, int]:
    """Count the labelled utterances without a role by reason, and those without a text.

    Utterances of official test splits that the fold does not test are not counted.

    Parameters
    ----------
    name : str
        Name of the fold, for the error message.
    fold : DataFrame
        Roles of the fold.
    utterances : DataFrame
        The utterance table with its texts.
    settings : ProtocolSettings
        The protocol of the study.

    Returns
    -------
    dict of str to int
        `same_text`: utterances whose text is in another role (with `text_disjoint`).
        `not_listed`: utterances that the fold file does not list (with `ignore_unmatched`).
        `without_words`: training and development utterances without a text, which
        `text_disjoint` keeps.

    Raises
    ------
    ProtocolError
        If an utterance has no role for neither of these reasons.
    """
    labelled = utterances.filter(pl.col("label").is_not_null())
    absent = labelled.join(fold, on="utterance", how="anti")
    if settings.fold_unit == "corpus_pairs":
        absent = absent.filter(pl.col("corpus").is_in(training_corpora(fold, utterances)))
    elif settings.fold_unit == "official":
        absent = absent.filter(~IS_TEST_SPLIT)
    same_text = without_text = 0
    if settings.text_disjoint:
        roles = labelled.join(fold.select("utterance", "role"), on="utterance")
        texts = roles.filter(HAS_TEXT & (pl.col("role") != "train"))["text_key"].unique()
        repeated = HAS_TEXT & pl.col("text_key").is_in(texts.implode())
        same_text = len(absent.filter(repeated))
        absent = absent.filter(~repeated)
        without_text = len(roles.filter(~HAS_TEXT & (pl.col("role") != "test")))
    if len(absent) and not settings.ignore_unmatched:
        raise ProtocolError(
            f"{name}: {absent['utterance'][0]} has no role for no known reason; generate the fold "
            "again"
        )
    return {"same_text": same_text, "not_listed": len(absent), "without_words": without_text}


def training_corpora(fold: pl.DataFrame, utterances: pl.DataFrame) -> list[str]:
    """Return the corpora that a fold trains on.

    Parameters
    ----------
    fold : DataFrame
        Roles of the fold (`tables.schemas.fold_schema`).
    utterances : DataFrame
        Columns `utterance, corpus`.

    Returns
    -------
    list of str
        Names of the corpora, sorted.
    """
    training = fold.filter(pl.col("role") == "train").select("utterance")
    joined = training.join(utterances.select("utterance", "corpus"), on="utterance")
    return sorted(joined["corpus"].unique())


def missing_classes(utterances: pl.DataFrame, classes: list[str]) -> dict[str, list[str]]:
    """Return the classes of the study of which a corpus has no utterance.

    Parameters
    ----------
    utterances : DataFrame
        The utterance table.
    classes : list of str
        Classes of the study.

    Returns
    -------
    dict of str to list of str
        Missing classes by corpus; complete corpora are omitted.
    """
    missing = {
        str(corpus): [label for label in classes if label not in of_corpus["label"]]
        for (corpus,), of_corpus in utterances.group_by("corpus")
    }
    return {corpus: missing[corpus] for corpus in sorted(missing) if missing[corpus]}


def unassigned_warnings(report: dict[str, Any]) -> list[str]:
    """Return the warnings on utterances that have no role or are never tested.

    Parameters
    ----------
    report : dict
        The report of `checks.check_folds`.

    Returns
    -------
    list of str
        Warnings, one sentence each.
    """
    counts = [fold["left_out"] for fold in report["folds"].values()]
    warnings = []
    if report["corpus_pairs"]:
        warnings.append(
            "scores pool all pairs of a training and a test corpus, within corpora and across "
            "them; tables/corpus_pairs has each pair"
        )
    if report["official_tests"]:
        tested = [f"{fold} tests {split}" for fold, split in report["official_tests"].items()]
        warnings.append(f"official split: {', '.join(tested)}")
    elif report["test_units"]:
        warnings.append(
            f"only {', '.join(report['test_units'])} is tested; all other units are only used for "
            "training and development"
        )
    for corpus, classes in report["classes_missing"].items():
        warnings.append(
            f"the corpus {corpus} has no utterance of {', '.join(classes)}, so class and corpus "
            "are confounded"
        )
    if any(fold["same_text"] for fold in counts):
        warnings.append(
            f"text-disjoint: {_range(counts, 'same_text')} of a fold's utterances are excluded, "
            "because their text is in another role; "
            f"{_range(counts, 'without_words')} without text are included"
        )
    if any(fold["not_listed"] for fold in counts):
        warnings.append(
            f"{_range(counts, 'not_listed')} of the study's utterances have no role in a fold, "
            "because the fold file does not list them"
        )
    if report["unknown_in_fold_file"]:
        warnings.append(
            f"the fold file lists {report['unknown_in_fold_file']} utterances that are not in the "
            "corpus"
        )
    return warnings


def _range(counts: list[dict[str, int]], name: str) -> str:
    least, most = min(fold[name] for fold in counts), max(fold[name] for fold in counts)
    return f"{most:,}" if least == most else f"{least:,} to {most:,}"
