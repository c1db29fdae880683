"""Which utterances are tested, choose the epoch, or are learned from, in each fold."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl

from emoscale.config.protocol import ProtocolSettings
from emoscale.errors import ProtocolError


def roles_of(development: str) -> tuple[str, ...]:
    """The roles of a protocol with that `development`: none has no development set.

    >>> roles_of("unit"), roles_of("none")
    (('train', 'dev', 'test'), ('train', 'test'))
    """
    return ("train", "test") if development == "none" else ("train", "dev", "test")


def fold_groups(utterances: pl.DataFrame, settings: ProtocolSettings) -> list[list[str]]:
    """The test unit of each fold: a list of sessions, or of speakers.

    With `session`: one session a fold, in the order of their names. With `speakers`: the speakers,
    women and men dealt in turn, so that groups are even in size and sex. Raises `ProtocolError`
    where the corpus does not have as many sessions or speakers as folds are asked for.
    """
    if settings.fold_unit == "session":
        without = utterances.filter(pl.col("session").is_null())
        if len(without):
            raise ProtocolError(
                f"{without['utterance'][0]} has no session; use protocol.fold_unit: speakers"
            )
        sessions = sorted(utterances["session"].unique())
        if len(sessions) != settings.folds:
            raise ProtocolError(
                f"the corpus has {len(sessions)} sessions ({', '.join(sessions)}) and "
                f"protocol.folds is {settings.folds}; make it {len(sessions)}"
            )
        return [[session] for session in sessions]
    people = utterances.group_by("speaker").agg(pl.col("sex").first()).sort("sex", "speaker")
    if len(people) < settings.folds:
        raise ProtocolError(
            f"the corpus has {len(people)} speakers and protocol.folds is {settings.folds}; "
            f"make it {len(people)} or less"
        )
    speakers = people["speaker"].to_list()
    return [sorted(speakers[fold :: settings.folds]) for fold in range(settings.folds)]


def assign_roles(
    utterances: pl.DataFrame, settings: ProtocolSettings, fold: int, seed: int
) -> pl.DataFrame:
    """The labelled utterances with the column `role`, for fold number `fold` (from 0).

    The development set is the next fold's unit, or a random share of each class of what is left, or
    there is none. Raises `ProtocolError` where nothing would be left to train on.
    """
    labelled = utterances.filter(pl.col("label").is_not_null()).sort("utterance")
    groups = fold_groups(labelled, settings)
    column = "session" if settings.fold_unit == "session" else "speaker"
    role: Any = pl.when(pl.col(column).is_in(groups[fold])).then(pl.lit("test"))
    if settings.development == "unit":
        if len(groups) < 3:
            raise ProtocolError(
                "protocol.development is unit and there are 2 folds: nothing is left to train on; "
                "use more folds, or development: random or none"
            )
        following = groups[(fold + 1) % len(groups)]
        role = role.when(pl.col(column).is_in(following)).then(pl.lit("dev"))
    dealt = labelled.with_columns(role=role.otherwise(pl.lit("train")))
    if settings.development == "random":
        dealt = _random_development(dealt, settings.development_share, seed, fold)
    return dealt


def _random_development(dealt: pl.DataFrame, share: float, seed: int, fold: int) -> pl.DataFrame:
    generator = np.random.default_rng([seed, 41, fold])
    chosen: list[str] = []
    training = dealt.filter(pl.col("role") == "train")
    for label in sorted(training["label"].unique()):
        keys = training.filter(pl.col("label") == label)["utterance"].to_list()
        count = max(1, round(share * len(keys)))
        chosen += [keys[index] for index in generator.permutation(len(keys))[:count]]
    moved = pl.when(pl.col("utterance").is_in(chosen)).then(pl.lit("dev"))
    return dealt.with_columns(role=moved.otherwise(pl.col("role")))
