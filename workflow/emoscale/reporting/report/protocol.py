"""The sections on the protocol and on the corpus."""

from __future__ import annotations

from typing import Any

import polars as pl
from markupsafe import Markup

from emoscale.reporting.report.formatting import format_count, format_percent
from emoscale.reporting.report.study import Study, StudyTable, column_maximum
from emoscale.reporting.report.views import Section, TableView, table_view

_FOLD_MEANINGS = {
    "fold": "name of the fold",
    "train": "utterances available for training",
    "dev": "development utterances, which select the stopping step and the settings",
    "test": "test utterances",
    "training speakers": "speakers of the training utterances",
    "development speakers": "speakers of the development utterances",
    "test speakers": "speakers of the test utterances",
}
_LABEL_MEANINGS = {
    "corpus": "name of the corpus",
    "label": "label, in the corpus's own terms",
    "class": "class of the study; empty: not used",
    "utterances": "utterances with this label",
}
_CLASS_MEANINGS = {
    "class": "class of the study",
    "utterances": "labelled utterances of the class",
    "speakers": "speakers with at least one utterance of the class",
    "minutes": "total duration",
    "mean seconds": "mean duration of an utterance",
}


def protocol_section(study: Study) -> Section:
    """Return the section on folds, roles, sizes, repeats and the development set.

    Parameters
    ----------
    study : Study
        The study.

    Returns
    -------
    Section
        The section.
    """
    folds: dict[str, Any] = study.checks.get("folds", {})
    scores = study.scores
    baseline = study.checks.get("speaker_predicts_label")
    facts: list[tuple[str, str | Markup]] = [
        ("Classes", ", ".join(study.checks.get("classes", []))),
        ("Folds", f"{column_maximum(scores, 'folds')}; {_tested(study)}"),
        ("Test set", format_count(column_maximum(scores, "test_utterances"), "utterance")),
        ("Development set", _development(study)),
        ("Training sizes", _sizes(scores)),
        ("Repeats", _repeats(column_maximum(scores, "repeats"), _seeds_per_order(study))),
    ]
    if study.labels_shuffled:
        facts.append(
            (
                "Labels",
                "permuted within the training and the development set, anew in each "
                + ("repeat" if _seeds_per_order(study) == 1 else "training order"),
            )
        )
    if baseline:
        facts.append(
            (
                "Baseline by speaker",
                "predicting the majority class of each speaker reaches a UA of "
                f"{format_percent(baseline['unweighted_accuracy'])}; chance is "
                f"{format_percent(baseline['chance'])}",
            )
        )
    return Section(
        "protocol",
        "Protocol",
        paragraphs=[
            "No speaker, utterance or identical recording has two roles in a fold, unless a "
            "warning names the exception. This is checked before anything is trained."
        ],
        facts=[(term, fact) for term, fact in facts if fact],
        tables=[_folds_table(folds)] if folds else [],
    )


def corpus_section(study: Study) -> Section:
    """Return the section on the corpus: its classes, rejected files and audit.

    Parameters
    ----------
    study : Study
        The study.

    Returns
    -------
    Section
        The section.
    """
    utterances, rejected = study.rows("utterances"), study.rows("rejected")
    tables: list[TableView] = []
    facts: list[tuple[str, str | Markup]] = []
    if utterances is not None:
        labelled = utterances.drop_nulls("label")
        hours = float(labelled["seconds"].sum()) / 3600
        facts = [
            ("Corpus", study.corpus),
            ("In the study", f"{len(labelled):,} utterances, {hours:.1f} hours"),
            ("Other classes", format_count(len(utterances) - len(labelled), "utterance")),
            ("Speakers", f"{labelled['speaker'].n_unique()}"),
        ]
        tables += [_classes_table(labelled), _labels_table(utterances)]
    if rejected is not None:
        counts = rejected["reason"].value_counts().sort("count", "reason", descending=[True, False])
        reasons = ", ".join(f"{reason} {count}" for reason, count in counts.iter_rows())
        total = format_count(len(rejected), "file or entry", "files and entries")
        facts.append(("Rejected", f"{total} ({reasons}); see corpus/rejected.csv"))
    paragraphs: list[str | Markup] = []
    audit = study.rows("audit")
    if audit is not None:
        paragraphs.append(_audit_sentence(audit))
        tables.append(
            table_view(
                study.tables["audit"],
                "Findings of the audit of the corpus",
                visible=["severity", "finding", "subject", "other", "value", "detail"],
                file="corpus/audit.csv",
            )
        )
    elif "audit" in study.tables:
        paragraphs.append("The audit of the corpus has no findings.")
    else:
        paragraphs.append("The corpus was not audited in this study.")
    return Section("corpus", "Corpus", paragraphs=paragraphs, facts=facts, tables=tables)


def _audit_sentence(audit: pl.DataFrame) -> Markup:
    counts = dict(audit["severity"].value_counts().iter_rows())
    return Markup(
        'The audit of the corpus has {}, {} and {}. Details: <a href="audit.html">audit.html</a>.'
    ).format(
        *(
            format_count(counts.get(severity, 0), severity)
            for severity in ("error", "warning", "note")
        )
    )


def _tested(study: Study) -> str:
    protocol = study.settings.get("protocol", {})
    if protocol.get("test_units"):
        units = ", ".join(protocol["test_units"])
        if protocol.get("fold_unit") == "official":
            return f"tested are the official splits {units}"
        return f"tested are {units} only; everything else is training data in every fold"
    if protocol.get("fold_unit") == "corpus_pairs":
        return "each utterance is tested once by models of each corpus"
    if protocol.get("fold_unit") == "official":
        return "each tests an official test split"
    if protocol.get("fold_unit") == "file":
        return "as the fold file states; utterances that it does not test are not scored"
    return "each utterance is tested in exactly one of them"


def _seeds_per_order(study: Study) -> int:
    return int(study.settings.get("protocol", {}).get("seeds_per_order", 1))


def _development(study: Study) -> str:
    if study.checks.get("without_development_set"):
        return "none: nothing is selected on development data; trainings have a fixed length"
    speakers = [fold["speakers"] for fold in study.checks.get("folds", {}).values()]
    shared = [
        name
        for role, name in (("train", "training"), ("test", "test"))
        if any(set(fold.get("dev", [])) & set(fold.get(role, [])) for fold in speakers)
    ]
    if study.settings.get("protocol", {}).get("development") == "random":
        who = "random utterances of the training speakers"
    elif shared:
        who = f"utterances of speakers some of whom are also {' and '.join(shared)} speakers"
    else:
        who = "separate speakers, neither trained on nor tested"
    return f"{who}; they select stopping step and settings"


def _sizes(scores: pl.DataFrame) -> str:
    sizes = (
        scores.group_by("size")
        .agg(pl.col("training_utterances_mean").mean())
        .sort("training_utterances_mean")
    )
    texts = [
        size if size == f"{labels:.0f}" else f"{size} ({labels:,.0f})"
        for size, labels in sizes.iter_rows()
    ]
    return f"{', '.join(texts)} labels; smaller training sets are subsets of larger ones"


def _repeats(repeats: int, seeds_per_order: int) -> str:
    if repeats == 1:
        return "one per fold: the variance over training subsets and seeds is unknown"
    subset = "has its own training subset at every size below all"
    if seeds_per_order == 1:
        return f"{repeats} per fold; each has its own initialisation, and {subset}"
    orders = format_count(repeats // seeds_per_order, "training order")
    return (
        f"{repeats} per fold: {orders}, with {seeds_per_order} initialisations each; an order "
        f"{subset}"
    )


def _folds_table(folds: dict[str, Any]) -> TableView:
    rows = [
        {
            "fold": name,
            **fold["utterances"],
            "test speakers": ", ".join(fold["speakers"].get("test", [])),
            "development speakers": ", ".join(fold["speakers"].get("dev", [])),
            "training speakers": ", ".join(fold["speakers"].get("train", [])),
            **{
                f"{style}: repeated text": f"{fraction:.0%}"
                for style, fraction in fold.get("repeated_text", {}).items()
            },
        }
        for name, fold in folds.items()
    ]
    dataframe = pl.DataFrame(rows, infer_schema_length=None)
    repeated_text = "fraction of the test utterances whose transcript is also in the training set"
    meanings = {
        **_FOLD_MEANINGS,
        **{name: repeated_text for name in dataframe.columns if name.endswith(": repeated text")},
    }
    return table_view(StudyTable("folds", dataframe, meanings), "Roles of each fold")


def _classes_table(labelled: pl.DataFrame) -> TableView:
    dataframe = (
        labelled.group_by(pl.col("label").alias("class"))
        .agg(
            pl.len().alias("utterances"),
            pl.col("speaker").n_unique().alias("speakers"),
            (pl.col("seconds").sum() / 60).round(1).alias("minutes"),
            pl.col("seconds").mean().round(2).alias("mean seconds"),
        )
        .sort("class")
    )
    return table_view(StudyTable("classes", dataframe, _CLASS_MEANINGS), "Classes")


def _labels_table(utterances: pl.DataFrame) -> TableView:
    dataframe = (
        utterances.group_by(
            "corpus", pl.col("emotion").alias("label"), pl.col("label").alias("class")
        )
        .agg(pl.len().alias("utterances"))
        .sort("corpus", "class", "label", nulls_last=True)
    )
    return table_view(
        StudyTable("labels", dataframe, _LABEL_MEANINGS), "Labels: the class of each label"
    )
