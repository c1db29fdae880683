"""Checks of the folds before any training, and the warnings to report with the scores."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import polars as pl

from emoscale.audit.confounders import majority_baseline_accuracy
from emoscale.audit.duplicates import iterate_duplicate_groups
from emoscale.audit.overlaps import overlapping_utterances
from emoscale.audit.speakers import conflicting_sex_message, speakers_with_conflicting_sex
from emoscale.config.protocol import ProtocolSettings
from emoscale.protocol.fold_file import count_unknown_utterances
from emoscale.protocol.folds import protocol_roles
from emoscale.protocol.official import tested_splits
from emoscale.protocol.orders import subset
from emoscale.protocol.unassigned import (
    HAS_TEXT,
    count_unassigned,
    missing_classes,
    training_corpora,
    unassigned_warnings,
)
from emoscale.runtime.errors import ProtocolError

_NO_STYLE = "no style"
_UNKNOWN_SPEAKER = pl.col("speaker").str.contains(r"(?i)^([^:]+:)?unknown")
"""Expression: the corpus does not name the speaker, whom its reader names unknown…."""


def check_fold(
    name: str,
    fold: pl.DataFrame,
    utterances: pl.DataFrame,
    settings: ProtocolSettings,
    duplicates: pl.DataFrame | None = None,
) -> None:
    """Check one fold for leakage, missing classes and utterances without a role.

    Leakage is an utterance, a speaker, identical audio or overlapping utterances of one file in
    two roles, and with `text_disjoint` also a text in two roles. With a `random` development set,
    training and development may share speakers and texts; with `allow_shared_speakers` and with
    official splits, all roles may share speakers.

    Parameters
    ----------
    name : str
        Name of the fold, for error messages.
    fold : DataFrame
        Roles and training orders of the fold (`tables.schemas.fold_schema`).
    utterances : DataFrame
        The utterance table with its texts.
    settings : ProtocolSettings
        The protocol of the study.
    duplicates : DataFrame or None
        Groups of recordings that are the same although not byte-identical
        (`audit.duplicates.DUPLICATES`).

    Raises
    ------
    ProtocolError
        If the fold leaks, lacks a class or an utterance, has an unknown role, or has a speaker
        with two sexes, whose identity is then doubtful.
    """
    added = [column for column in utterances.columns if column not in fold.columns]
    joined = fold.join(utterances.select("utterance", *added), on="utterance")
    if len(joined) != len(fold):
        raise ProtocolError(f"{name}: contains utterances that are not in the corpus")
    _check_roles(name, fold, settings.development)
    _check_sexes(name, fold, utterances)
    if duplicates is not None:
        _check_duplicates(name, fold, duplicates)
    _check_disjoint(name, joined, settings)
    _check_overlaps(name, joined)
    classes = sorted(utterances["label"].drop_nulls().unique())
    _check_classes(name, joined, classes, settings)
    count_unassigned(name, fold, utterances, settings)


def check_folds(
    utterances: pl.DataFrame,
    folds: dict[str, pl.DataFrame],
    sizes: list[str],
    settings: ProtocolSettings,
    duplicates: pl.DataFrame | None = None,
) -> dict[str, Any]:
    """Check all folds and report what limits the interpretation of the scores.

    The report counts utterances and speakers per role, repeated transcripts, duplicate recordings
    within a role, utterances without a role and speakers that a fold file or the official split
    assigns to several roles, and contains the accuracy of predicting the class from the speaker.

    Parameters
    ----------
    utterances : DataFrame
        The utterance table with its texts.
    folds : dict of str to DataFrame
        Every fold by its name (`tables.schemas.fold_schema`).
    sizes : list of str
        Training sizes of the study.
    settings : ProtocolSettings
        The protocol of the study.
    duplicates : DataFrame or None
        Groups of recordings that are the same although not byte-identical
        (`audit.duplicates.DUPLICATES`).

    Returns
    -------
    dict
        The report, for `protocol_warnings` and as JSON.

    Raises
    ------
    ProtocolError
        If `check_fold` fails, a fold has fewer utterances than a training size needs, an utterance
        is tested twice (with `corpus_pairs`: by models of one corpus), or an utterance is never
        tested although all units are.
    """
    classes = sorted(utterances["label"].drop_nulls().unique())
    roles = protocol_roles(settings.development)
    report: dict[str, Any] = {"folds": {}, "classes": classes}
    for name, fold in folds.items():
        check_fold(name, fold, utterances, settings, duplicates)
        for repeat in range(settings.repeats):
            for size in sizes:
                try:
                    subset(fold, repeat, size)
                except ProtocolError as error:
                    raise ProtocolError(f"{name}: {error}") from None
        report["folds"][name] = {
            "utterances": {role: len(fold.filter(pl.col("role") == role)) for role in roles},
            "speakers": {role: _speakers(fold, role) for role in roles},
            "repeated_text": _repeated_text(fold, utterances),
            "left_out": count_unassigned(name, fold, utterances, settings),
            "unknown_speakers": len(fold.filter(_UNKNOWN_SPEAKER, pl.col("role") != "test")),
            "tested_speakers_known": _shared_speakers(fold, ["test"], ["train", "dev"]),
        }
    _check_each_tested_once(folds, utterances, settings)
    report["unknown_in_fold_file"] = count_unknown_utterances(utterances["utterance"], settings)
    report["test_units"] = settings.test_units
    report["corpus_pairs"] = settings.fold_unit == "corpus_pairs"
    report["official_tests"] = _official_tests(folds, utterances, settings)
    report["classes_missing"] = missing_classes(utterances, classes)
    report["identical_audio"] = _duplicate_groups(utterances, duplicates)
    report["development_shares_speakers"] = settings.development == "random" or any(
        _shared_speakers(fold, ["dev"], ["train"]) for fold in folds.values()
    )
    report["without_development_set"] = settings.development == "none"
    report["labels_shuffled"] = settings.shuffle_labels
    report["speaker_predicts_label"] = _speaker_baseline(utterances, classes)
    return report


def protocol_warnings(report: dict[str, Any]) -> list[str]:
    """Return the warnings to show with every score.

    Parameters
    ----------
    report : dict
        The report of `check_folds`.

    Returns
    -------
    list of str
        Warnings, one sentence each.
    """
    warnings = []
    if report["labels_shuffled"]:
        warnings.append("negative control: training and development labels are permuted")
    if report["development_shares_speakers"]:
        warnings.append("the development set shares its speakers with training")
    if report["without_development_set"]:
        warnings.append(
            "no development set: nothing was selected on development data, and every training "
            "had the fixed length set in the configuration"
        )
    if report["identical_audio"]:
        first = report["identical_audio"][0]
        warnings.append(
            f"{len(report['identical_audio'])} recordings have several keys "
            f"(the first: {', '.join(first)})"
        )
    warnings += unassigned_warnings(report)
    shared = [fold["tested_speakers_known"] for fold in report["folds"].values()]
    if any(shared):
        tested = [fold["speakers"]["test"] for fold in report["folds"].values()]
        warnings.append(
            f"{sum(map(len, shared))} of {sum(map(len, tested))} test speakers (summed over folds) "
            "are also in training or development, as "
            f"{'the official split' if report['official_tests'] else 'the fold file'} assigns "
            "them: the scores are not speaker-independent"
        )
    unknown = max(fold["unknown_speakers"] for fold in report["folds"].values())
    if unknown:
        warnings.append(
            f"up to {unknown:,} training and development utterances of a fold have an unknown "
            "speaker, who may also be tested"
        )
    for style in sorted({s for fold in report["folds"].values() for s in fold["repeated_text"]}):
        fractions = [
            fold["repeated_text"][style]
            for fold in report["folds"].values()
            if style in fold["repeated_text"]
        ]
        if max(fractions) > 0:
            least, most = f"{min(fractions):.0%}", f"{max(fractions):.0%}"
            percentage = most if least == most else f"{least} to {most}"
            prefix = "" if style == _NO_STYLE else f"{style}: "
            warnings.append(
                f"{prefix}{percentage} of a fold's test utterances with a transcript have the "
                "same text in training"
            )
    return warnings


def _check_roles(name: str, fold: pl.DataFrame, development: str) -> None:
    unknown = fold.filter(~pl.col("role").is_in(protocol_roles(development)))
    if len(unknown):
        utterance, role = unknown.row(0, named=True)["utterance"], unknown["role"][0]
        raise ProtocolError(
            f"{name}: {utterance} has the role {role}, which does not exist with "
            f"protocol.development: {development}; generate the fold again"
        )


def _check_disjoint(name: str, fold: pl.DataFrame, settings: ProtocolSettings) -> None:
    checks = [("utterance", "utterance"), ("audio_sha256", "identical audio of")]
    if not settings.speakers_may_be_shared:
        checks.insert(1, ("speaker", "speaker"))
    if settings.text_disjoint:
        checks.append(("text_key", "the text of"))
    may_share = {"train", "dev"} if settings.development == "random" else set()
    for column, description in checks:
        for role, other_role in combinations(protocol_roles(settings.development), 2):
            if column in ("speaker", "text_key") and {role, other_role} == may_share:
                continue
            compared = fold.filter(HAS_TEXT) if column == "text_key" else fold
            left = compared.filter(pl.col("role") == role)
            right = compared.filter(pl.col("role") == other_role)
            shared = left.join(right.select(column).unique(), on=column, how="semi").sort(
                "utterance"
            )
            if len(shared):
                remedy = ""
                if settings.fold_unit == "file" and column == "speaker":
                    remedy = (
                        "; correct protocol.fold_file, or set protocol.allow_shared_speakers: true"
                    )
                key = shared["speaker" if column == "speaker" else "utterance"][0]
                raise ProtocolError(
                    f"{name}: {description} {key} is in the roles {role} and {other_role}; "
                    f"this is leakage, so nothing is trained{remedy}"
                )


def _check_sexes(name: str, fold: pl.DataFrame, utterances: pl.DataFrame) -> None:
    in_fold = utterances.join(fold.select("utterance"), on="utterance", how="semi")
    for speaker, examples in speakers_with_conflicting_sex(in_fold):
        raise ProtocolError(f"{name}: {conflicting_sex_message(speaker, examples)}")


def _check_duplicates(name: str, fold: pl.DataFrame, duplicates: pl.DataFrame) -> None:
    for members in iterate_duplicate_groups(duplicates, fold):
        first, *others = members.iter_rows(named=True)
        for other in others:
            if other["role"] != first["role"]:
                raise ProtocolError(
                    f"{name}: {first['utterance']} and {other['utterance']} are the same recording "
                    f"and are in the roles {first['role']} and {other['role']}; this is leakage, "
                    "so nothing is trained: correct the corpus, or list one of them under "
                    "labels.exclude"
                )


def _check_overlaps(name: str, fold: pl.DataFrame) -> None:
    for one, two, seconds in overlapping_utterances(fold):
        if one["role"] != two["role"]:
            raise ProtocolError(
                f"{name}: {one['utterance']} and {two['utterance']} overlap by {seconds:.2f} s in "
                f"{one['audio']} and are in the roles {one['role']} and {two['role']}; this is "
                "leakage, so nothing is trained: correct their start and end, list one of them "
                "under labels.exclude, or use folds and a development set that keep them together"
            )


def _check_classes(
    name: str, fold: pl.DataFrame, classes: list[str], settings: ProtocolSettings
) -> None:
    for role in protocol_roles(settings.development):
        of_role = fold.filter(pl.col("role") == role)
        missing = [label for label in classes if label not in of_role["label"]]
        if not missing:
            continue
        corpora, remedy = "", "use other folds or fewer classes"
        of_corpora = fold.filter(pl.col("corpus").is_in(of_role["corpus"].implode()))
        if settings.fold_unit in ("corpus", "corpus_pairs"):
            corpora = f" (corpus {', '.join(sorted(of_role['corpus'].unique()))})"
        if corpora and missing[0] not in of_corpora["label"]:
            remedy = (
                "add the corpus's label for it to labels.classes, or remove the class or the corpus"
            )
        elif role == "dev" and settings.development == "speakers":
            remedy = "use more development_speakers, other folds or fewer classes"
        if settings.text_disjoint and role != "test":
            remedy += ", or remove protocol.text_disjoint"
        raise ProtocolError(
            f"{name}: the role {role}{corpora} has no utterance of class {missing[0]}; {remedy}"
        )


def _check_each_tested_once(
    folds: dict[str, pl.DataFrame], utterances: pl.DataFrame, settings: ProtocolSettings
) -> None:
    pairs = settings.fold_unit == "corpus_pairs"
    tested = pl.concat(
        fold.filter(pl.col("role") == "test").select(
            "utterance",
            trained=pl.lit(", ".join(training_corpora(fold, utterances)) if pairs else ""),
        )
        for fold in folds.values()
    )
    by_models = " by models of one corpus" if pairs else ""
    repeated = tested.filter(tested.is_duplicated())
    if len(repeated):
        raise ProtocolError(
            f"{repeated['utterance'][0]} is tested in more than one fold{by_models}"
        )
    unscored = settings.fold_unit in ("file", "official") or settings.test_units
    if unscored or len(folds) < settings.folds:
        return  # not every unit is tested, or only some of the folds are checked
    labelled = utterances.filter(pl.col("label").is_not_null()).select("utterance")
    needed = labelled.join(tested.select("trained").unique(), how="cross")
    untested = needed.join(tested, on=["utterance", "trained"], how="anti")
    if len(untested):
        raise ProtocolError(
            f"{untested['utterance'][0]} is tested in no fold{by_models}; generate the folds again"
        )


def _official_tests(
    folds: dict[str, pl.DataFrame], utterances: pl.DataFrame, settings: ProtocolSettings
) -> dict[str, str]:
    """Return the official split that each fold tests; empty: folds are no official splits."""
    if settings.fold_unit != "official":
        return {}
    tested = tested_splits(utterances.drop_nulls("label"), settings)
    return dict(zip(folds, tested, strict=False))  # a test may check the first folds only


def _speakers(fold: pl.DataFrame, role: str) -> list[str]:
    return sorted(fold.filter(pl.col("role") == role)["speaker"].unique())


def _shared_speakers(fold: pl.DataFrame, roles: list[str], other_roles: list[str]) -> list[str]:
    """Speakers that are in all of `roles` and in any of `other_roles`."""
    others = {speaker for role in other_roles for speaker in _speakers(fold, role)}
    return sorted(others.intersection(*(_speakers(fold, role) for role in roles)))


def _repeated_text(fold: pl.DataFrame, utterances: pl.DataFrame) -> dict[str, float]:
    """Fraction of the test utterances with a text whose text occurs in training, by style."""
    joined = fold.join(utterances.select("utterance", "text_key", "style"), on="utterance")
    with_text = joined.filter(HAS_TEXT)
    trained = with_text.filter(pl.col("role") == "train").select("text_key").unique()
    tested = with_text.filter(pl.col("role") == "test").with_columns(
        pl.col("style").fill_null(_NO_STYLE)
    )
    return {
        str(style): len(group.join(trained, on="text_key", how="semi")) / len(group)
        for (style,), group in sorted(tested.group_by("style"), key=lambda item: str(item[0]))
    }


def _duplicate_groups(utterances: pl.DataFrame, duplicates: pl.DataFrame | None) -> list[list[str]]:
    """Keys of each recording that has several keys."""
    if duplicates is not None:
        labelled = utterances.drop_nulls("label")
        return [
            group["utterance"].to_list() for group in iterate_duplicate_groups(duplicates, labelled)
        ]
    groups = (
        utterances.group_by("audio_sha256")
        .agg(pl.col("utterance").sort())
        .filter(pl.col("utterance").list.len() > 1)
    )
    return sorted(groups["utterance"].to_list())


def _speaker_baseline(utterances: pl.DataFrame, classes: list[str]) -> dict[str, float]:
    """Unweighted accuracy of predicting each speaker's most frequent class, and chance level."""
    labelled = utterances.drop_nulls("label")
    return {
        "unweighted_accuracy": majority_baseline_accuracy("speaker", labelled),
        "chance": 1 / len(classes),
    }
