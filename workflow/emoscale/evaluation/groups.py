"""Grouping of test utterances into slices: by sex, style, repeated text, noise and others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import polars as pl

UNKNOWN = "unknown"
"""Group of the utterances without a value, where other utterances of the corpus have one."""

SLICES = (
    "sex", "speaker", "session", "style", "text", "duration", "agreement", "noise", "corpus",
    "split",
)  # fmt: skip
"""The slices, in the order of the tables."""


def group_test_utterances(
    folds: Mapping[str, pl.DataFrame],
    utterances: pl.DataFrame,
    class_of: Mapping[str, Mapping[str, str]],
    snr_db: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """Assign every test utterance to a group of each slice.

    The slices are:

    - sex, speaker, session, style, corpus: values of the utterance table
    - text: whether the transcript also occurs in the training pool of the fold (whatever the
      training size)
    - duration, noise: tertiles of the test utterances
    - agreement: fraction of the raters' votes for the utterance's class (`agreement`)
    - split: official test split, if only such splits are tested

    Parameters
    ----------
    folds : mapping of str to DataFrame
        Tables of the protocol by fold name.
    utterances : DataFrame
        The utterance table (schema `UTTERANCES`, with texts).
    class_of : mapping
        The class of each label, by corpus.
    snr_db : DataFrame or None
        Columns `utterance, snr_db`: estimated signal-to-noise ratios in dB. None: no slice `noise`.

    Returns
    -------
    DataFrame
        Columns `fold, utterance, slice, group, position`, one row per fold, test utterance and
        slice; `position` sorts the groups of a slice. Slices of a single group are left out.
    """
    tested = pl.concat(
        fold.filter(pl.col("role") == "test").select(
            "utterance", pl.lit(name).alias("fold"), text=_text_groups(fold, utterances)
        )
        for name, fold in folds.items()
    ).join(utterances, on="utterance", maintain_order="left")
    groups_of: dict[str, pl.Series] = {
        **{name: tested[name] for name in ("sex", "speaker", "session", "style", "corpus")},
        "text": tested["text"],
        "duration": tertiles(tested["seconds"], lambda value: f"{value:.1f} s"),
        "agreement": pl.Series(
            [
                agreement_group(agreement(votes, label, class_of[corpus]))
                for votes, label, corpus in tested.select("votes", "label", "corpus").iter_rows()
            ],
            dtype=pl.String,
        ),
    }
    if tested["split"].str.starts_with("test").fill_null(False).all():
        groups_of["split"] = tested["split"]
    if snr_db is not None:
        joined = tested.join(snr_db, on="utterance", how="left", maintain_order="left")
        groups_of["noise"] = tertiles(joined["snr_db"], lambda value: f"{value:.0f} dB")
    tables = [
        tested.select(
            "fold", "utterance", pl.lit(name).alias("slice"), group=groups.fill_null(UNKNOWN)
        ).with_columns(position=_group_positions(name, groups))
        for name in SLICES
        if (groups := groups_of.get(name)) is not None and groups.drop_nulls().len()
    ]
    table = pl.concat(tables)
    several = table.group_by("slice").agg(pl.col("group").n_unique()).filter(pl.col("group") > 1)
    return table.join(several, on="slice", how="semi", maintain_order="left")


def agreement(
    votes: Sequence[Mapping[str, str]] | None, label: str, class_of: Mapping[str, str]
) -> float | None:
    """Compute the fraction of the raters' votes for a class.

    Every rater has one vote, split evenly among the labels that this rater chose. Unlike in
    `vote_shares`, votes for labels outside the study's classes count, as votes for another class.

    Parameters
    ----------
    votes : sequence of mapping or None
        The votes, each with `rater` and `label`.
    label : str
        The class.
    class_of : mapping of str to str
        The class of each label.

    Returns
    -------
    float or None
        The fraction, 0 to 1; None without votes.

    Examples
    --------
    >>> votes = [{"rater": r, "label": l} for r, l in (("1", "hap"), ("2", "exc"), ("3", "fru"))]
    >>> agreement(votes, "happiness", {"hap": "happiness", "exc": "happiness"})
    0.6666666666666666
    """
    labels_of: dict[str, set[str]] = {}
    for vote in votes or ():
        labels_of.setdefault(vote["rater"], set()).add(vote["label"])
    if not labels_of:
        return None
    agreeing = [
        sum(class_of.get(chosen) == label for chosen in labels) / len(labels)
        for labels in labels_of.values()
    ]
    return float(sum(agreeing) / len(agreeing))


AGREEMENT_GROUPS = ("all votes", "2/3 of the votes or more", "less than 2/3 of the votes")
"""Groups of the slice `agreement`."""


def agreement_group(vote_share: float | None) -> str | None:
    """Return the group of the slice `agreement` for a vote share.

    Parameters
    ----------
    vote_share : float or None
        Fraction of the votes for the utterance's class, 0 to 1.

    Returns
    -------
    str or None
        One of `AGREEMENT_GROUPS`; None for None.

    Examples
    --------
    >>> agreement_group(2 / 3), agreement_group(1.0)
    ('2/3 of the votes or more', 'all votes')
    """
    if vote_share is None:
        return None
    rounded = round(vote_share, 9)
    return AGREEMENT_GROUPS[0 if rounded >= 1 else 1 if rounded >= round(2 / 3, 9) else 2]


def tertiles(values: pl.Series, format_value: Callable[[float], str]) -> pl.Series:
    """Return the tertile of each value, named by its limits.

    Parameters
    ----------
    values : Series
        Numbers; null or not a number where unknown.
    format_value : callable
        Formats a limit, with its unit.

    Returns
    -------
    Series
        Names of the tertiles; null where the value is unknown.

    Examples
    --------
    >>> tertiles(pl.Series([1.0, 2.0, 3.0]), lambda value: f"{value:.1f} s").to_list()
    ['up to 1.7 s', '1.7 s to 2.3 s', 'over 2.3 s']
    """
    available = values.drop_nulls().drop_nans()
    if not len(available):
        return pl.Series([None] * len(values), dtype=pl.String)
    limits = np.quantile(available.to_numpy(), [1 / 3, 2 / 3])
    low, high = (format_value(float(limit)) for limit in limits)
    names = (f"up to {low}", f"{low} to {high}", f"over {high}")
    return pl.Series(
        [
            None if value is None or np.isnan(value) else names[int(np.searchsorted(limits, value))]
            for value in values
        ],
        dtype=pl.String,
    )


def _text_groups(fold: pl.DataFrame, utterances: pl.DataFrame) -> pl.Expr:
    """Return whether the transcript is in the fold's training pool; null without transcript."""
    text_of = dict(utterances.select("utterance", "text_key").iter_rows())
    training_texts = {text_of[key] for key in fold.filter(pl.col("role") == "train")["utterance"]}
    groups = {
        key: None if not (text := text_of[key]) else "repeated" if text in training_texts else "new"
        for key in fold["utterance"]
    }
    return pl.col("utterance").replace_strict(groups, return_dtype=pl.String)


def _group_positions(slice_name: str, groups: pl.Series) -> pl.Series:
    """Sort the groups: tertiles and agreement by value, others by name, unknown last."""
    names = sorted(groups.drop_nulls().unique())
    if slice_name in ("duration", "noise"):
        names.sort(key=_tertile_number)
    if slice_name == "agreement":
        names = [name for name in AGREEMENT_GROUPS if name in names]
    positions = {name: number for number, name in enumerate([*names, UNKNOWN])}
    return pl.Series([positions[name or UNKNOWN] for name in groups], dtype=pl.Int32)


def _tertile_number(name: str) -> int:
    return 0 if name.startswith("up to") else 2 if name.startswith("over") else 1
