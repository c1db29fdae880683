"""Roles where a fold tests one unit: a session, a group of speakers, a corpus, a fold's number."""

from __future__ import annotations

import polars as pl

from emoscale.runtime.errors import ProtocolError


def roles_by_unit(
    units: pl.Series, count: int, tested: list[int], development: str, plural: str
) -> list[pl.Series]:
    """Each fold's roles of utterances of `count` units, from 0; null where an utterance has none.

    A fold tests one unit; with the development `unit` the next unit chooses, after the last the
    first. Raises `ProtocolError`, calling units by their `plural`, where nothing is left to train
    on.
    """
    if development == "unit" and count < 3:
        raise ProtocolError(
            f"protocol.development is unit and there are {count} {plural}: nothing is left to "
            "train on; use more of them, or development: speakers, random or none"
        )
    folds = []
    for number in tested:
        roles = dict.fromkeys(range(count), "train") | {number: "test"}
        if development == "unit":
            roles[(number + 1) % count] = "dev"
        folds.append(units.replace_strict(roles, return_dtype=pl.String))
    return folds
