"""What share of the raters' votes each of the study's classes has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from emoscale.config.corpus import LabelSettings

SHARES = pl.List(pl.Struct({"label": pl.String, "share": pl.Float64}))
"""Type of the column `vote_shares`."""


def give_vote_shares(recordings: pl.DataFrame, settings: LabelSettings) -> pl.DataFrame:
    """Recordings with the column `vote_shares`: of each utterance, whatever its own label is.

    Each rater counts one, split evenly among the labels that this rater gave; labels outside the
    study's classes are left out, and the rest sums to 1. Null where no vote is for a class, or the
    corpus has no votes. Everyone who voted counts, in IEMOCAP also the speaker (rater F1 or M1).
    """
    class_of = {name: settings.class_of(name) for name in recordings["corpus"].unique()}
    rows = zip(recordings["votes"].to_list(), recordings["corpus"], strict=True)
    shares = [vote_shares(votes, class_of[corpus]) for votes, corpus in rows]
    return recordings.with_columns(vote_shares=pl.Series(shares, dtype=SHARES))


def vote_shares(
    votes: Sequence[dict[str, str]] | None, class_of: dict[str, str]
) -> list[dict[str, Any]] | None:
    """Shares of the classes, by their names, in an utterance's votes; `class_of` gives a label's.

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
