"""Cross-validation folds: the role (train, dev or test) of every utterance in each fold."""

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
from emoscale.protocol.fold_file import roles_from_file
from emoscale.protocol.official import roles_of_splits
from emoscale.protocol.stratified import stratified_groups
from emoscale.protocol.unassigned import drop_shared_texts
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
    "corpus_pairs": "groups of speakers in each corpus",
}


def protocol_roles(development: str) -> tuple[str, ...]:
    """Return the roles of a protocol; with the development `none` there is no role dev.

    Parameters
    ----------
    development : str
        The development setting of the protocol.

    Returns
    -------
    tuple of str
        Names of the roles.

    Examples
    --------
    >>> protocol_roles("unit"), protocol_roles("none")
    (('train', 'dev', 'test'), ('train', 'test'))
    """
    return ("train", "test") if development == "none" else ("train", "dev", "test")


def fold_groups(
    utterances: pl.DataFrame, settings: ProtocolSettings, seed: int = 0
) -> list[list[str]]:
    """Return the units that folds test: lists of sessions, of speakers, or of corpora.

    `session` and `corpus`: one session or corpus per group, sorted by name. `speakers`: groups of
    speakers of equal size and sex ratio. `stratified`: groups of speakers with similar class
    proportions.

    Parameters
    ----------
    utterances : DataFrame
        Labelled utterances.
    settings : ProtocolSettings
        The protocol of the study.
    seed : int
        Seed of the stratified groups, where several are equally good.

    Returns
    -------
    list of list of str
        Names of the sessions, speakers or corpora of each group.

    Raises
    ------
    ProtocolError
        If the corpus has fewer units than folds, or lacks a unit that is to be tested.
    """
    if settings.fold_unit in ("session", "corpus"):
        return [[name] for name in _named_units(utterances, settings)]
    groups = _speaker_groups(utterances, settings.folds)
    if any(not group for group in groups):
        speakers = utterances["speaker"].n_unique()
        raise ProtocolError(
            f"the corpus has {speakers} speakers and protocol.folds is {settings.folds}; set it to "
            f"{speakers} or less"
        )
    if settings.fold_unit == "stratified":
        counts = utterances.group_by("speaker", "label").len().sort("label")
        table = counts.pivot("label", index="speaker", values="len").fill_null(0).sort("speaker")
        rows = stratified_groups(table.drop("speaker").to_numpy(), settings.folds, seed)
        return [[table["speaker"][row] for row in group] for group in rows]
    return groups


def assign_roles(
    utterances: pl.DataFrame, settings: ProtocolSettings, fold: int, seed: int
) -> pl.DataFrame:
    """Return the labelled utterances of a fold with the column `role`.

    Utterances without a role in the fold are dropped: with `text_disjoint`, those whose text is in
    another role; with `ignore_unmatched`, those that the fold file does not list; with
    `corpus_pairs`, those of corpora that the fold does not train on, if another fold tests them;
    with official splits, those of other test splits.

    Parameters
    ----------
    utterances : DataFrame
        The utterance table with its texts.
    settings : ProtocolSettings
        The protocol of the study.
    fold : int
        Fold number, from 0.
    seed : int
        Seed of the study.

    Returns
    -------
    DataFrame
        Labelled utterances with their role, sorted by key.

    Raises
    ------
    ProtocolError
        If the corpus does not allow the protocol.
    """
    labelled = utterances.filter(pl.col("label").is_not_null()).sort("utterance")
    if settings.fold_unit == "file":
        roles = roles_from_file(labelled, utterances["utterance"], settings)
    elif settings.fold_unit == "corpus_pairs":
        roles = _roles_of_pairs(labelled, utterances["corpus"], settings)
    elif settings.fold_unit == "official":
        roles = roles_of_splits(labelled, settings)
    else:
        roles = _roles_of_units(labelled, settings, seed)

    def without_development(number: int) -> pl.DataFrame:
        assigned = labelled.with_columns(role=roles[number]).drop_nulls("role")
        return drop_shared_texts("test", assigned) if settings.text_disjoint else assigned

    assigned = without_development(fold)
    if settings.development == "session":
        assigned = session_development(assigned)
    elif settings.development == "speakers":
        earlier = [without_development(number) for number in range(fold)]
        assigned = speaker_development([*earlier, assigned], settings.development_speakers, seed)
    elif settings.development == "random":
        assigned = random_development(
            assigned, settings.development_fraction, np.random.default_rng([seed, 41, fold])
        )
    if settings.text_disjoint and settings.development not in ("random", "none"):
        assigned = drop_shared_texts("dev", assigned)
    return assigned


def _named_units(utterances: pl.DataFrame, settings: ProtocolSettings) -> list[str]:
    """Names of the sessions or corpora; checks that those to be tested are among them."""
    unit, units = settings.fold_unit, _PLURAL[settings.fold_unit]
    without_unit = utterances.filter(pl.col(unit).is_null())
    if len(without_unit):
        raise ProtocolError(
            f"{without_unit['utterance'][0]} has no session; use protocol.fold_unit: speakers"
        )
    names = sorted(utterances[unit].unique())
    for name in settings.test_units or ():
        if name not in names:
            raise ProtocolError(
                f"protocol.test_units lists {name}, which is not among the {units} with utterances "
                f"of the study's classes ({', '.join(names)}); correct it"
            )
    if settings.test_units is None and len(names) != settings.folds:
        raise ProtocolError(
            f"the corpus has {len(names)} {units} ({', '.join(names)}) and protocol.folds is "
            f"{settings.folds}; set it to {len(names)}"
        )
    if len(names) < 2:
        raise ProtocolError(
            f"there is only one {unit} ({names[0]}), so nothing is left to train on; use another "
            "protocol.fold_unit"
        )
    return names


def _roles_of_units(
    labelled: pl.DataFrame, settings: ProtocolSettings, seed: int
) -> list[pl.Series]:
    """Roles of the rows of `labelled`, one series per fold."""
    groups = fold_groups(labelled, settings, seed)
    number_of = {name: number for number, group in enumerate(groups) for name in group}
    units = labelled[_COLUMN[settings.fold_unit]].replace_strict(number_of, return_dtype=pl.Int64)
    tested = list(range(len(groups)))
    if settings.test_units is not None:
        tested = [number_of[name] for name in settings.test_units]
    return roles_by_unit(
        units, len(groups), tested, settings.development, _PLURAL[settings.fold_unit]
    )


def _roles_of_pairs(
    labelled: pl.DataFrame, corpora: pl.Series, settings: ProtocolSettings
) -> list[pl.Series]:
    """Roles of the rows of `labelled`: the folds of the first corpus, then those of the next."""
    names = sorted(corpora.unique())
    count, remainder = divmod(settings.folds, len(names))
    if remainder or count < 2:
        raise ProtocolError(
            f"protocol.fold_unit is corpus_pairs and folds is {settings.folds}; set it to the "
            f"number of corpora ({len(names)}) times two or more groups of speakers in each, such "
            f"as {5 * len(names)}"
        )
    group_of: dict[str, int] = {}
    for name in names:
        groups = _speaker_groups(labelled.filter(pl.col("corpus") == name), count)
        if any(not group for group in groups):
            speakers = sum(map(len, groups))
            raise ProtocolError(
                f"the corpus {name} has {speakers} speakers of the study's classes and "
                f"protocol.folds ({settings.folds}) asks for {count} groups in each of "
                f"{len(names)} corpora; lower it, or remove the corpus"
            )
        group_of |= {speaker: number for number, group in enumerate(groups) for speaker in group}
    units = labelled["speaker"].replace_strict(group_of, return_dtype=pl.Int64)
    plural = _PLURAL[settings.fold_unit]
    by_group = roles_by_unit(units, count, list(range(count)), settings.development, plural)
    return [
        labelled.select(pl.when((pl.col("corpus") == name) | (roles == "test")).then(roles))
        .to_series()
        .alias("role")
        for name in names
        for roles in by_group
    ]


def _speaker_groups(utterances: pl.DataFrame, count: int) -> list[list[str]]:
    """Divide the speakers into groups of equal size and sex ratio; with too few, some are empty."""
    people = utterances.group_by("speaker").agg(pl.col("sex").first()).sort("sex", "speaker")
    speakers = people["speaker"].to_list()
    return [sorted(speakers[number::count]) for number in range(count)]
