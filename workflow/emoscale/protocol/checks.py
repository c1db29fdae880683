"""What must hold before anything is trained, and what a reader of the scores must know."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import polars as pl

from emoscale.audit.guessing import unweighted_accuracy_of_guessing
from emoscale.audit.people import speakers_of_two_sexes, two_sexes_sentence
from emoscale.audit.same_recordings import groups_within
from emoscale.config.protocol import ProtocolSettings
from emoscale.protocol.fold_file import unknown_utterances
from emoscale.protocol.folds import roles_of
from emoscale.protocol.left_out import (
    HAS_WORDS,
    classes_missing,
    explained_absences,
    warnings_of_absences,
)
from emoscale.protocol.orders import subset
from emoscale.runtime.errors import ProtocolError

_NO_STYLE = "no style"


def check_fold(
    name: str,
    fold: pl.DataFrame,
    utterances: pl.DataFrame,
    settings: ProtocolSettings,
    duplicates: pl.DataFrame | None = None,
) -> None:
    """Raise `ProtocolError` where a fold leaks, lacks a class or an utterance, or has a role more.

    The roles are those of `roles_of(settings.development)`. A leak is an utterance, a speaker or
    identical audio in two roles, and with `text_disjoint` the same words. With a `random`
    development set, training and development may share speakers and words; with
    `allow_shared_speakers`, all roles may share speakers. `duplicates` (columns of
    `audit.same_recordings.DUPLICATES`) are recordings under several keys that are not all
    identical. A speaker of two sexes is two people, or a mistake that makes the roles doubtful: an
    error, too.
    """
    added = [column for column in utterances.columns if column not in fold.columns]
    joined = fold.join(utterances.select("utterance", *added), on="utterance")
    if len(joined) != len(fold):
        raise ProtocolError(f"{name}: holds utterances that the corpus does not have")
    _check_roles(name, fold, settings.development)
    _check_sexes(name, fold, utterances)
    if duplicates is not None:
        _check_recordings(name, fold, duplicates)
    _check_disjoint(name, joined, settings)
    classes = sorted(utterances["label"].drop_nulls().unique())
    _check_classes(name, joined, classes, settings)
    explained_absences(name, fold, utterances, settings)


def check_folds(
    utterances: pl.DataFrame,
    folds: dict[str, pl.DataFrame],
    sizes: list[str],
    settings: ProtocolSettings,
    duplicates: pl.DataFrame | None = None,
) -> dict[str, Any]:
    """Raise `ProtocolError` where a fold leaks or cannot be trained; tell what weakens it.

    Errors: what `check_fold` finds; a training size that a fold does not have; an utterance that
    is tested twice, or in no fold where all units are tested. Reported: repeated transcripts,
    recordings under several keys within a role, what has no role, speakers that a fold file gives
    several roles, and how far the speaker alone predicts the label.
    """
    classes = sorted(utterances["label"].drop_nulls().unique())
    roles = roles_of(settings.development)
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
            "left_out": explained_absences(name, fold, utterances, settings),
            "tested_speakers_known": _shared_speakers(fold, ["test"], ["train", "dev"]),
        }
    _check_each_tested_once(folds, utterances, settings)
    report["unknown_in_fold_file"] = unknown_utterances(utterances["utterance"], settings)
    report["test_units"] = settings.test_units
    report["classes_missing"] = classes_missing(utterances, classes)
    report["identical_audio"] = _identical_audio(utterances, duplicates)
    report["development_shares_speakers"] = settings.development == "random" or any(
        _shared_speakers(fold, ["dev"], ["train"]) for fold in folds.values()
    )
    report["without_development_set"] = settings.development == "none"
    report["labels_shuffled"] = settings.shuffle_labels
    report["speaker_predicts_label"] = _speaker_predicts_label(utterances, classes)
    return report


def warnings_of(report: dict[str, Any]) -> list[str]:
    """Sentences that belong beside the scores."""
    warnings = []
    if report["labels_shuffled"]:
        warnings.append("negative control: training and development labels are permuted")
    if report["development_shares_speakers"]:
        warnings.append("the development set shares its speakers with training")
    if report["without_development_set"]:
        warnings.append(
            "there is no development set: nothing was chosen on development data, and every "
            "training had the length that the configuration states"
        )
    if report["identical_audio"]:
        first = report["identical_audio"][0]
        warnings.append(
            f"{len(report['identical_audio'])} recordings stand under several keys "
            f"(the first: {', '.join(first)})"
        )
    warnings += warnings_of_absences(report)
    known = [fold["tested_speakers_known"] for fold in report["folds"].values()]
    if any(known):
        tested = [fold["speakers"]["test"] for fold in report["folds"].values()]
        warnings.append(
            f"{sum(map(len, known))} of {sum(map(len, tested))} tested speakers (counted fold by "
            "fold) are in training or development too, as the fold file has it: no score is one "
            "for new speakers"
        )
    for style in sorted({s for fold in report["folds"].values() for s in fold["repeated_text"]}):
        shares = [
            fold["repeated_text"][style]
            for fold in report["folds"].values()
            if style in fold["repeated_text"]
        ]
        if max(shares) > 0:
            least, most = f"{min(shares):.0%}", f"{max(shares):.0%}"
            share = most if least == most else f"{least} to {most}"
            where = "" if style == _NO_STYLE else f"{style}: "
            warnings.append(
                f"{where}{share} of a fold's test utterances with a transcript have the same "
                "text in training"
            )
    return warnings


def _check_roles(name: str, fold: pl.DataFrame, development: str) -> None:
    strange = fold.filter(~pl.col("role").is_in(roles_of(development)))
    if len(strange):
        utterance, role = strange.row(0, named=True)["utterance"], strange["role"][0]
        raise ProtocolError(
            f"{name}: {utterance} has the role {role}, which protocol.development: {development} "
            "does not know; make the fold again"
        )


def _check_disjoint(name: str, fold: pl.DataFrame, settings: ProtocolSettings) -> None:
    kinds = [("utterance", "utterance"), ("audio_sha256", "identical audio of")]
    if not settings.allow_shared_speakers:
        kinds.insert(1, ("speaker", "speaker"))
    if settings.text_disjoint:
        kinds.append(("text_key", "the text of"))
    may_share = {"train", "dev"} if settings.development == "random" else set()
    for column, what in kinds:
        for one, other in combinations(roles_of(settings.development), 2):
            if column in ("speaker", "text_key") and {one, other} == may_share:
                continue
            compared = fold.filter(HAS_WORDS) if column == "text_key" else fold
            left = compared.filter(pl.col("role") == one)
            right = compared.filter(pl.col("role") == other)
            shared = left.join(right.select(column).unique(), on=column, how="semi").sort(
                "utterance"
            )
            if len(shared):
                way_out = ""
                if settings.fold_unit == "file" and column == "speaker":
                    way_out = (
                        "; mend protocol.fold_file, or set protocol.allow_shared_speakers: true"
                    )
                key = shared["speaker" if column == "speaker" else "utterance"][0]
                raise ProtocolError(
                    f"{name}: {what} {key} is in the roles {one} and {other}; "
                    f"a score would measure memory, so nothing is trained{way_out}"
                )


def _check_sexes(name: str, fold: pl.DataFrame, utterances: pl.DataFrame) -> None:
    known = utterances.join(fold.select("utterance"), on="utterance", how="semi")
    for speaker, examples in speakers_of_two_sexes(known):
        raise ProtocolError(f"{name}: {two_sexes_sentence(speaker, examples)}")


def _check_recordings(name: str, fold: pl.DataFrame, duplicates: pl.DataFrame) -> None:
    for members in groups_within(duplicates, fold):
        first, *others = members.iter_rows(named=True)
        for other in others:
            if other["role"] != first["role"]:
                raise ProtocolError(
                    f"{name}: {first['utterance']} and {other['utterance']} are the same recording "
                    f"and are in the roles {first['role']} and {other['role']}; a score would "
                    "measure memory, so nothing is trained: correct the corpus, or put one of "
                    "them under labels.exclude"
                )


def _check_classes(
    name: str, fold: pl.DataFrame, classes: list[str], settings: ProtocolSettings
) -> None:
    for role in roles_of(settings.development):
        own = fold.filter(pl.col("role") == role)
        missing = [label for label in classes if label not in own["label"]]
        if not missing:
            continue
        where, way_out = "", "use other folds or fewer classes"
        if settings.fold_unit == "corpus":
            where = f" (corpus {', '.join(sorted(own['corpus'].unique()))})"
            way_out = (
                "name the corpus's label for it in labels.classes, or leave the class or the "
                "corpus out"
            )
        elif role == "dev" and settings.development == "speakers":
            way_out = "use more development_speakers, other folds or fewer classes"
        if settings.text_disjoint and role != "test":
            way_out += ", or remove protocol.text_disjoint"
        raise ProtocolError(
            f"{name}: the role {role}{where} has no utterance of class {missing[0]}; {way_out}"
        )


def _check_each_tested_once(
    folds: dict[str, pl.DataFrame], utterances: pl.DataFrame, settings: ProtocolSettings
) -> None:
    tested = pl.concat(
        fold.filter(pl.col("role") == "test").select("utterance", fold=pl.lit(name))
        for name, fold in folds.items()
    )
    twice = tested.filter(pl.col("utterance").is_duplicated())
    if len(twice):
        raise ProtocolError(f"{twice['utterance'][0]} is tested in more than one fold")
    if settings.fold_unit == "file" or settings.test_units or len(folds) < settings.folds:
        return  # not all of them are tested, or not all folds are here
    labelled = utterances.filter(pl.col("label").is_not_null())
    never = labelled.join(tested, on="utterance", how="anti")
    if len(never):
        raise ProtocolError(f"{never['utterance'][0]} is tested in no fold; make the folds again")


def _speakers(fold: pl.DataFrame, role: str) -> list[str]:
    return sorted(fold.filter(pl.col("role") == role)["speaker"].unique())


def _shared_speakers(fold: pl.DataFrame, some: list[str], others: list[str]) -> list[str]:
    """Speakers that are in some roles and in others."""
    known = {speaker for role in others for speaker in _speakers(fold, role)}
    return sorted(known.intersection(*(_speakers(fold, role) for role in some)))


def _repeated_text(fold: pl.DataFrame, utterances: pl.DataFrame) -> dict[str, float]:
    """Share of the test utterances with words whose exact words are in training, by style."""
    joined = fold.join(utterances.select("utterance", "text_key", "style"), on="utterance")
    worded = joined.filter(HAS_WORDS)
    known = worded.filter(pl.col("role") == "train").select("text_key").unique()
    tested = worded.filter(pl.col("role") == "test").with_columns(
        pl.col("style").fill_null(_NO_STYLE)
    )
    return {
        str(style): len(group.join(known, on="text_key", how="semi")) / len(group)
        for (style,), group in sorted(tested.group_by("style"), key=lambda item: str(item[0]))
    }


def _identical_audio(utterances: pl.DataFrame, duplicates: pl.DataFrame | None) -> list[list[str]]:
    """Keys of each recording that stands under several."""
    if duplicates is not None:
        labelled = utterances.drop_nulls("label")
        return [group["utterance"].to_list() for group in groups_within(duplicates, labelled)]
    groups = (
        utterances.group_by("audio_sha256")
        .agg(pl.col("utterance").sort())
        .filter(pl.col("utterance").list.len() > 1)
    )
    return sorted(groups["utterance"].to_list())


def _speaker_predicts_label(utterances: pl.DataFrame, classes: list[str]) -> dict[str, float]:
    """Unweighted accuracy of guessing each speaker's most frequent class, beside chance."""
    labelled = utterances.drop_nulls("label")
    return {
        "unweighted_accuracy": unweighted_accuracy_of_guessing("speaker", labelled),
        "chance": 1 / len(classes),
    }
