"""Soft labels: the fraction of the raters' votes for each class of the study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from emoscale.config.corpus import LabelSettings

VOTE_SHARES_DTYPE = pl.List(pl.Struct({"label": pl.String, "share": pl.Float64}))
"""Type of the column `vote_shares`."""


def add_vote_shares(recordings: pl.DataFrame, settings: LabelSettings) -> pl.DataFrame:
    """Add the column `vote_shares` to all recordings, also those outside the study.

    Each rater has one vote, divided equally among the labels that the rater chose; votes for labels
    outside the study's classes are dropped, and the rest is normalised to sum to 1. All raters
    count, in IEMOCAP also the speaker (rater F1 or M1).

    Parameters
    ----------
    recordings : DataFrame
        Table of recordings (`tables.schemas.RECORDINGS`).
    settings : LabelSettings
        Classes of the study.

    Returns
    -------
    DataFrame
        `recordings` with the column `vote_shares`; null if no vote is for a class, or the corpus
        has no votes.
    """
    class_of = {name: settings.class_of(name) for name in recordings["corpus"].unique()}
    rows = zip(recordings["votes"].to_list(), recordings["corpus"], strict=True)
    shares = [vote_shares(votes, class_of[corpus]) for votes, corpus in rows]
    return recordings.with_columns(vote_shares=pl.Series(shares, dtype=VOTE_SHARES_DTYPE))


def vote_shares(
    votes: Sequence[dict[str, str]] | None, class_of: dict[str, str]
) -> list[dict[str, Any]] | None:
    """Return the vote share of each class for one utterance.

    Parameters
    ----------
    votes : sequence of dict or None
        Each rater's labels: `rater` and `label`.
    class_of : dict of str to str
        Class of each label of the corpus that is in a class.

    Returns
    -------
    list of dict or None
        `label` (the class) and `share`, sorted by class; None if no vote is for a class.

    Examples
    --------
    >>> votes = [("E1", "hap"), ("E1", "exc"), ("E2", "ang"), ("E2", "fru"), ("E3", "ang")]
    >>> rows = [{"rater": rater, "label": label} for rater, label in votes]
    >>> vote_shares(rows, {"hap": "happiness", "exc": "happiness", "ang": "anger"})
    [{'label': 'anger', 'share': 0.6}, {'label': 'happiness', 'share': 0.4}]
    """
    labels_of: dict[str, set[str]] = {}
    for vote in votes or ():
        labels_of.setdefault(vote["rater"], set()).add(vote["label"])
    counts: dict[str, float] = {}
    for labels in labels_of.values():
        for label in sorted(labels & class_of.keys()):
            name = class_of[label]
            counts[name] = counts.get(name, 0.0) + 1.0 / len(labels)
    total = sum(counts.values())
    return [{"label": name, "share": counts[name] / total} for name in sorted(counts)] or None
