"""Which utterances are tested, choose the epoch, or are learned from, in each fold."""

from __future__ import annotations

import numpy as np
import polars as pl

from emoscale.config.protocol import ProtocolSettings
from emoscale.protocol.development import (
    random_development,
    roles_by_unit,
    session_development,
    speaker_development,
)
from emoscale.protocol.fold_file import given_roles
from emoscale.protocol.left_out import apart_from
from emoscale.protocol.stratified import even_groups
from emoscale.runtime.errors import ProtocolError

_COLUMN = {
    "session": "session",
    "speakers": "speaker",
    "stratified": "speaker",
    "corpus": "corpus",
}
_PLURAL = {
    "session": "sessions",
    "speakers": "groups of speakers",
    "stratified": "groups of speakers",
    "corpus": "corpora",
}


def roles_of(development: str) -> tuple[str, ...]:
    """The roles of a protocol with that `development`: none has no development set.

    >>> roles_of("unit"), roles_of("none")
    (('train', 'dev', 'test'), ('train', 'test'))
    """
    return ("train", "test") if development == "none" else ("train", "dev", "test")


def fold_groups(
    utterances: pl.DataFrame, settings: ProtocolSettings, seed: int = 0
) -> list[list[str]]:
    """The units that folds test: lists of sessions, of speakers, or of corpora.

    With `session` and `corpus`: each of them alone, in the order of their names. With `speakers`:
    the speakers, women and men dealt in turn, so that groups are even in size and sex. With
    `stratified`: the speakers, so that the groups are alike in the shares of the classes; groups of
    equal merit are chosen between by `seed`. Raises `ProtocolError` where the corpus does not have
    as many as folds are asked for, or not what is to be tested.
    """
    if settings.fold_unit in ("session", "corpus"):
        return [[name] for name in _named_units(utterances, settings)]
    people = utterances.group_by("speaker").agg(pl.col("sex").first()).sort("sex", "speaker")
    if len(people) < settings.folds:
        raise ProtocolError(
            f"the corpus has {len(people)} speakers and protocol.folds is {settings.folds}; "
            f"make it {len(people)} or less"
        )
    if settings.fold_unit == "stratified":
        counts = utterances.group_by("speaker", "label").len().sort("label")
        table = counts.pivot("label", index="speaker", values="len").fill_null(0).sort("speaker")
        groups = even_groups(table.drop("speaker").to_numpy(), settings.folds, seed)
        return [[table["speaker"][place] for place in group] for group in groups]
    speakers = people["speaker"].to_list()
    return [sorted(speakers[fold :: settings.folds]) for fold in range(settings.folds)]


def assign_roles(
    utterances: pl.DataFrame, settings: ProtocolSettings, fold: int, seed: int
) -> pl.DataFrame:
    """The labelled utterances with the column `role`, for fold number `fold` (from 0).

    Those without a role in the fold are left out: text that is in another role with
    `text_disjoint`, and what a fold file does not list, where that is allowed. Raises
    `ProtocolError` where the protocol cannot be had of this corpus.
    """
    labelled = utterances.filter(pl.col("label").is_not_null()).sort("utterance")
    if settings.fold_unit == "file":
        roles = given_roles(labelled, utterances["utterance"], settings)
    else:
        roles = _roles_of_units(labelled, settings, seed)

    def before_development(number: int) -> pl.DataFrame:
        dealt = labelled.with_columns(role=roles[number]).drop_nulls("role")
        return apart_from("test", dealt) if settings.text_disjoint else dealt

    dealt = before_development(fold)
    if settings.development == "session":
        dealt = session_development(dealt)
    elif settings.development == "speakers":
        earlier = [before_development(number) for number in range(fold)]
        dealt = speaker_development([*earlier, dealt], settings.development_speakers, seed)
    elif settings.development == "random":
        dealt = random_development(
            dealt, settings.development_fraction, np.random.default_rng([seed, 41, fold])
        )
    if settings.text_disjoint and settings.development not in ("random", "none"):
        dealt = apart_from("dev", dealt)
    return dealt


def _named_units(utterances: pl.DataFrame, settings: ProtocolSettings) -> list[str]:
    """The sessions or corpora that there are; those that are tested are among them."""
    unit, units = settings.fold_unit, _PLURAL[settings.fold_unit]
    without = utterances.filter(pl.col(unit).is_null())
    if len(without):
        raise ProtocolError(
            f"{without['utterance'][0]} has no session; use protocol.fold_unit: speakers"
        )
    names = sorted(utterances[unit].unique())
    for name in settings.test_units or ():
        if name not in names:
            raise ProtocolError(
                f"protocol.test_units lists {name}, which is none of the {units} with utterances of "
                f"the study's classes ({', '.join(names)}); mend it"
            )
    if settings.test_units is None and len(names) != settings.folds:
        raise ProtocolError(
            f"the corpus has {len(names)} {units} ({', '.join(names)}) and protocol.folds is "
            f"{settings.folds}; make it {len(names)}"
        )
    if len(names) < 2:
        raise ProtocolError(
            f"there is one {unit} only ({names[0]}), so nothing is left to train on; use another "
            "protocol.fold_unit"
        )
    return names


def _roles_of_units(
    labelled: pl.DataFrame, settings: ProtocolSettings, seed: int
) -> list[pl.Series]:
    """Each fold's roles, in the order of `labelled`."""
    groups = fold_groups(labelled, settings, seed)
    number_of = {name: number for number, group in enumerate(groups) for name in group}
    units = labelled[_COLUMN[settings.fold_unit]].replace_strict(number_of, return_dtype=pl.Int64)
    tested = list(range(len(groups)))
    if settings.test_units is not None:
        tested = [number_of[name] for name in settings.test_units]
    return roles_by_unit(
        units, len(groups), tested, settings.development, _PLURAL[settings.fold_unit]
    )
