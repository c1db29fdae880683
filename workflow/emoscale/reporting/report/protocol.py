"""The sections before the results: how it was tested, and on what."""

from __future__ import annotations

from typing import Any

import polars as pl
from markupsafe import Markup

from emoscale.reporting.report.study import Study, StudyTable, highest
from emoscale.reporting.report.views import Section, TableView, view_of
from emoscale.reporting.report.words import count_words, percent

_FOLD_MEANINGS = {
    "fold": "which part of the corpus is tested",
    "train": "utterances that training may draw from",
    "dev": "utterances that chose step, strength and settings",
    "test": "utterances that the scores are of",
    "training speakers": "who is learned from",
    "development speakers": "who the choices are made on",
    "test speakers": "who is tested",
}
_CLASS_MEANINGS = {
    "class": "the study's class",
    "utterances": "in the study",
    "speakers": "who speak at least one of them",
    "minutes": "of speech",
    "mean seconds": "of an utterance",
}


def protocol_section(study: Study) -> Section:
    """Folds, roles, sizes, repeats and the rule of development."""
    folds: dict[str, Any] = study.checks.get("folds", {})
    scores = study.scores
    guess = study.checks.get("speaker_predicts_label")
    facts: list[tuple[str, str | Markup]] = [
        ("Classes", ", ".join(study.checks.get("classes", []))),
        ("Folds", f"{highest(scores, 'folds')}, each utterance tested in one of them"),
        ("Tested", count_words(highest(scores, "test_utterances"), "utterance")),
        ("Development", _development(study)),
        ("Training sizes", _sizes(scores)),
        ("Repeats", _repeats(highest(scores, "repeats"))),
    ]
    if study.shuffled:
        facts.append(
            ("Labels", "permuted within training and within development, anew each repeat")
        )
    if guess:
        facts.append(
            (
                "Guessing by speaker",
                f"who knows only the speaker reaches {percent(guess['unweighted_accuracy'])} UA; "
                f"who knows nothing, {percent(guess['chance'])}",
            )
        )
    return Section(
        "protocol",
        "How it was tested",
        paragraphs=[
            "No speaker, utterance or identical recording is in two roles of a fold, except where "
            "a warning says so: this is checked before anything is trained."
        ],
        facts=[(term, told) for term, told in facts if told],
        tables=[_folds_table(folds)] if folds else [],
    )


def corpus_section(study: Study) -> Section:
    """What the corpus holds, what was left out of it, and what its audit found."""
    utterances, rejected = study.rows("utterances"), study.rows("rejected")
    tables: list[TableView] = []
    facts: list[tuple[str, str | Markup]] = []
    if utterances is not None:
        labelled = utterances.drop_nulls("label")
        hours = float(labelled["seconds"].sum()) / 3600
        facts = [
            ("Corpus", study.corpus),
            ("In the study", f"{len(labelled):,} utterances, {hours:.1f} hours"),
            ("Outside its classes", count_words(len(utterances) - len(labelled), "utterance")),
            ("Speakers", f"{labelled['speaker'].n_unique()}"),
        ]
        tables.append(_classes_table(labelled))
    if rejected is not None:
        counts = rejected["reason"].value_counts().sort("count", "reason", descending=[True, False])
        reasons = ", ".join(f"{reason} {count}" for reason, count in counts.iter_rows())
        told = f"{count_words(len(rejected), 'file or entry', 'files and entries')} ({reasons})"
        facts.append(("Left out", f"{told}; see corpus/rejected.csv"))
    paragraphs: list[str | Markup] = []
    audit = study.rows("audit")
    if audit is not None:
        paragraphs.append(_audit_words(audit))
        shown = ["severity", "finding", "subject", "other", "value", "detail"]
        tables.append(
            view_of(
                study.tables["audit"],
                "What the audit of the corpus found",
                shown=shown,
                file="corpus/audit.csv",
            )
        )
    elif "audit" in study.tables:
        paragraphs.append("The audit of the corpus found nothing to report.")
    else:
        paragraphs.append("An audit of the corpus is not part of this study.")
    return Section(
        "corpus", "What it was tested on", paragraphs=paragraphs, facts=facts, tables=tables
    )


def _audit_words(audit: pl.DataFrame) -> Markup:
    counts = dict(audit["severity"].value_counts().iter_rows())
    return Markup(
        "The audit of the corpus found {} that would break the protocol, {} that weaken the "
        'scores, and {}. Its own page: <a href="audit.html">audit.html</a>.'
    ).format(
        counts.get("error", 0),
        counts.get("warning", 0),
        count_words(counts.get("note", 0), "note"),
    )


def _development(study: Study) -> str:
    if study.checks.get("without_development_set"):
        return "none: nothing was chosen on development data, trainings have a fixed length"
    if study.checks.get("development_shares_speakers"):
        return "utterances drawn at random from the training part, which share its speakers"
    return "speakers of their own, neither trained on nor tested, choose step and settings"


def _sizes(scores: pl.DataFrame) -> str:
    sizes = (
        scores.group_by("size")
        .agg(pl.col("training_utterances_mean").mean())
        .sort("training_utterances_mean")
    )
    told = [
        size if size == f"{labels:.0f}" else f"{size} ({labels:,.0f})"
        for size, labels in sizes.iter_rows()
    ]
    return f"{', '.join(told)} labels; smaller sets are parts of larger ones"


def _repeats(repeats: int) -> str:
    if repeats == 1:
        return "one a fold: how far a score moves by luck of the subset and seed is not known"
    return f"{repeats} a fold, each with its own training subset and initialisation"


def _folds_table(folds: dict[str, Any]) -> TableView:
    rows = [
        {
            "fold": name,
            **fold["utterances"],
            "test speakers": ", ".join(fold["speakers"].get("test", [])),
            "development speakers": ", ".join(fold["speakers"].get("dev", [])),
            "training speakers": ", ".join(fold["speakers"].get("train", [])),
            **{
                f"{style}: text known": f"{share:.0%}"
                for style, share in fold.get("repeated_text", {}).items()
            },
        }
        for name, fold in folds.items()
    ]
    frame = pl.DataFrame(rows, infer_schema_length=None)
    known = "share of the test utterances whose exact words are also in training"
    meanings = {
        **_FOLD_MEANINGS,
        **{name: known for name in frame.columns if name.endswith(": text known")},
    }
    return view_of(StudyTable("folds", frame, meanings), "Roles of each fold")


def _classes_table(labelled: pl.DataFrame) -> TableView:
    frame = (
        labelled.group_by(pl.col("label").alias("class"))
        .agg(
            pl.len().alias("utterances"),
            pl.col("speaker").n_unique().alias("speakers"),
            (pl.col("seconds").sum() / 60).round(1).alias("minutes"),
            pl.col("seconds").mean().round(2).alias("mean seconds"),
        )
        .sort("class")
    )
    return view_of(StudyTable("classes", frame, _CLASS_MEANINGS), "Classes")
