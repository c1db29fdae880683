"""Into which groups the tested utterances fall: by sex, style, repeated text, noise and others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import polars as pl

UNKNOWN = "unknown"
"""The group of utterances of which a corpus says nothing, where it says it of others."""

SLICES = (
    "sex", "speaker", "session", "style", "text", "duration", "agreement", "noise", "corpus",
)  # fmt: skip
"""What utterances are grouped by, in the tables' order."""


def groups_of_tests(
    folds: Mapping[str, pl.DataFrame],
    utterances: pl.DataFrame,
    class_of: Mapping[str, Mapping[str, str]],
    snr_db: pl.DataFrame | None = None,
) -> pl.DataFrame:
    """A row a fold, test utterance and slice: `fold, utterance, slice, group, place`.

    `folds` are the protocol's tables by name, `utterances` has the schema `UTTERANCES`, `class_of`
    gives the class of each corpus's labels, `snr_db` has `utterance, snr_db`, estimated. A slice
    that would have one group is left out. `place` orders the groups of a slice.

    - sex, speaker, session, style, corpus: as the corpus says
    - text: whether the words are also those of an utterance that the fold may learn from (the whole
      training pool, whatever the training size)
    - duration, noise: thirds of the tested utterances
    - agreement: share of the raters' votes that are for the utterance's class (`agreement`)
    """
    tested = pl.concat(
        fold.filter(pl.col("role") == "test").select(
            "utterance", pl.lit(name).alias("fold"), text=_text(fold, utterances)
        )
        for name, fold in folds.items()
    ).join(utterances, on="utterance", maintain_order="left")
    known: dict[str, pl.Series] = {
        **{name: tested[name] for name in ("sex", "speaker", "session", "style", "corpus")},
        "text": tested["text"],
        "duration": thirds(tested["seconds"], lambda value: f"{value:.1f} s"),
        "agreement": pl.Series(
            [
                agreement_group(agreement(votes, label, class_of[corpus]))
                for votes, label, corpus in tested.select("votes", "label", "corpus").iter_rows()
            ],
            dtype=pl.String,
        ),
    }
    if snr_db is not None:
        joined = tested.join(snr_db, on="utterance", how="left", maintain_order="left")
        known["noise"] = thirds(joined["snr_db"], lambda value: f"{value:.0f} dB")
    parts = [
        tested.select(
            "fold", "utterance", pl.lit(name).alias("slice"), group=groups.fill_null(UNKNOWN)
        ).with_columns(place=_places(name, groups))
        for name in SLICES
        if (groups := known.get(name)) is not None and groups.drop_nulls().len()
    ]
    whole = pl.concat(parts)
    several = whole.group_by("slice").agg(pl.col("group").n_unique()).filter(pl.col("group") > 1)
    return whole.join(several, on="slice", how="semi", maintain_order="left")


def agreement(
    votes: Sequence[Mapping[str, str]] | None, label: str, class_of: Mapping[str, str]
) -> float | None:
    """Share of the raters' votes that are for `label`; None without votes.

    Each rater counts one, split evenly among the labels that this rater gave; unlike `vote_shares`,
    votes for what is no class of the study count as votes for something else.

    >>> votes = [{"rater": r, "label": l} for r, l in (("1", "hap"), ("2", "exc"), ("3", "fru"))]
    >>> agreement(votes, "happiness", {"hap": "happiness", "exc": "happiness"})
    0.6666666666666666
    """
    labels_of: dict[str, set[str]] = {}
    for vote in votes or ():
        labels_of.setdefault(vote["rater"], set()).add(vote["label"])
    if not labels_of:
        return None
    for_it = [
        sum(class_of.get(given) == label for given in labels) / len(labels)
        for labels in labels_of.values()
    ]
    return float(sum(for_it) / len(for_it))


AGREEMENTS = ("all votes", "2/3 of the votes or more", "less than 2/3 of the votes")
"""Groups of agreement."""


def agreement_group(share: float | None) -> str | None:
    """Which of `AGREEMENTS` a share of the votes is; None for None.

    >>> agreement_group(2 / 3), agreement_group(1.0)
    ('2/3 of the votes or more', 'all votes')
    """
    if share is None:
        return None
    rounded = round(share, 9)
    return AGREEMENTS[0 if rounded >= 1 else 1 if rounded >= round(2 / 3, 9) else 2]


def thirds(values: pl.Series, written: Callable[[float], str]) -> pl.Series:
    """The third of each value, named by its limits; null where there is none.

    >>> thirds(pl.Series([1.0, 2.0, 3.0]), lambda value: f"{value:.1f} s").to_list()
    ['up to 1.7 s', '1.7 s to 2.3 s', 'over 2.3 s']
    """
    there = values.drop_nulls().drop_nans()
    if not len(there):
        return pl.Series([None] * len(values), dtype=pl.String)
    limits = np.quantile(there.to_numpy(), [1 / 3, 2 / 3])
    low, high = (written(float(limit)) for limit in limits)
    names = (f"up to {low}", f"{low} to {high}", f"over {high}")
    return pl.Series(
        [
            None if value is None or np.isnan(value) else names[int(np.searchsorted(limits, value))]
            for value in values
        ],
        dtype=pl.String,
    )


def _text(fold: pl.DataFrame, utterances: pl.DataFrame) -> pl.Expr:
    """Whether the words are in the fold's training; null without words."""
    text_of = dict(utterances.select("utterance", "text_key").iter_rows())
    learned = {text_of[key] for key in fold.filter(pl.col("role") == "train")["utterance"]}
    names = {
        key: None if not (text := text_of[key]) else "repeated" if text in learned else "new"
        for key in fold["utterance"]
    }
    return pl.col("utterance").replace_strict(names, return_dtype=pl.String)


def _places(slice_name: str, groups: pl.Series) -> pl.Series:
    """Order of the groups: thirds and agreements as they rise, others by name, unknown last."""
    names = sorted(groups.drop_nulls().unique())
    if slice_name in ("duration", "noise"):
        names.sort(key=_third)
    if slice_name == "agreement":
        names = [name for name in AGREEMENTS if name in names]
    place = {name: number for number, name in enumerate([*names, UNKNOWN])}
    return pl.Series([place[name or UNKNOWN] for name in groups], dtype=pl.Int32)


def _third(name: str) -> int:
    return 0 if name.startswith("up to") else 2 if name.startswith("over") else 1
