"""Training orders: nested, class- and speaker-balanced subsets of a fold's training utterances.

The subset of size k is the first k utterances of one balanced random order.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from emoscale.config.protocol import ProtocolSettings, check_size
from emoscale.protocol.folds import assign_roles
from emoscale.runtime.errors import ProtocolError


def make_fold(
    utterances: pl.DataFrame, settings: ProtocolSettings, fold: int, seed: int
) -> pl.DataFrame:
    """Return the roles, labels, votes and training orders of a fold.

    `rank_<repeat>` is the position of an utterance in the training order of that repeat, null
    outside training; `seeds_per_order` repeats share an order and their training labels. With
    `shuffle_labels`, `training_label_<repeat>` is the permuted class that the repeat is trained
    with, and the votes are null because they are not permuted.

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
        One row per utterance with a role; columns of `tables.schemas.fold_schema`.

    Raises
    ------
    ProtocolError
        If the corpus does not allow the protocol.
    """
    assigned = assign_roles(utterances, settings, fold, seed)
    votes = pl.col("vote_shares")
    if settings.shuffle_labels:
        votes = pl.lit(None, dtype=assigned.schema["vote_shares"])
    table = assigned.select("utterance", "role", "label", "speaker", votes=votes)
    training_label_columns: list[pl.Series] = []
    for repeat in range(settings.repeats):
        labels = assigned["label"]
        order_number = settings.order_of(repeat)
        if settings.shuffle_labels:
            labels = shuffled_labels(
                assigned, np.random.default_rng([seed, 43, fold, order_number])
            )
            training_label_columns.append(labels.alias(f"training_label_{repeat}"))
        training = assigned.with_columns(label=labels).filter(pl.col("role") == "train")
        order = balanced_order(
            training["utterance"].to_list(),
            training["label"].to_list(),
            training["speaker"].to_list(),
            np.random.default_rng([seed, 42, fold, order_number]),
        )
        ranks = pl.DataFrame(
            {"utterance": order, f"rank_{repeat}": np.arange(len(order), dtype=np.int32)},
            schema_overrides={"utterance": pl.String},
        )
        table = table.join(ranks, on="utterance", how="left", maintain_order="left")
    return table.with_columns(training_label_columns)


def training_labels(fold: pl.DataFrame, repeat: int) -> pl.Series:
    """Return the classes that a repeat is trained with: the true ones except in a negative control.

    Parameters
    ----------
    fold : DataFrame
        A fold from `make_fold`.
    repeat : int
        Number of the repeat, from 0.

    Returns
    -------
    Series
        Class of each row of `fold`.
    """
    return fold[
        f"training_label_{repeat}" if f"training_label_{repeat}" in fold.columns else "label"
    ]


def balanced_order(
    utterances: Sequence[str],
    labels: Sequence[str],
    speakers: Sequence[str],
    generator: np.random.Generator,
) -> list[str]:
    """Return a random order whose every prefix is balanced over classes, then over speakers.

    The classes alternate as long as each has utterances left; within a class its speakers
    alternate likewise. When one is exhausted the others go on.

    Parameters
    ----------
    utterances : sequence of str
        Keys of the training utterances.
    labels : sequence of str
        Class of each.
    speakers : sequence of str
        Speaker of each.
    generator : Generator
        Source of randomness.

    Returns
    -------
    list of str
        All keys, in the training order.
    """
    queues = []
    for label in sorted(set(labels)):
        of_class: dict[str, list[str]] = {}
        for utterance, utterance_label, speaker in zip(utterances, labels, speakers, strict=True):
            if utterance_label == label:
                of_class.setdefault(speaker, []).append(utterance)
        by_speaker = [_permuted(of_class[name], generator) for name in sorted(of_class)]
        queues.append(_round_robin(by_speaker, generator))
    return _round_robin(queues, generator)


def subset(fold: pl.DataFrame, repeat: int, size: str) -> list[str]:
    """Return the training utterances of one size: the first ones of the repeat's training order.

    Parameters
    ----------
    fold : DataFrame
        A fold from `make_fold`.
    repeat : int
        Number of the repeat, from 0.
    size : str
        A total ('500'), a number per class ('125-per-class') or 'all'.

    Returns
    -------
    list of str
        Keys, in training order.

    Raises
    ------
    ProtocolError
        If the fold has fewer training utterances.
    """
    check_size(size)
    labelled = fold.with_columns(label=training_labels(fold, repeat))
    ordered = labelled.filter(pl.col("role") == "train").sort(f"rank_{repeat}")
    if size == "all":
        return ordered["utterance"].to_list()
    if size.endswith("-per-class"):
        per_class = int(size.removesuffix("-per-class"))
        counts = dict(ordered.group_by("label").len().iter_rows())
        rarest = min(counts, key=lambda label: (counts[label], label))
        if counts[rarest] < per_class:
            raise ProtocolError(
                f"training size {size}: class {rarest} has only {counts[rarest]} training "
                "utterances in this fold; lower the size or use all"
            )
        selected = ordered.filter(pl.int_range(pl.len()).over("label") < per_class)
        return selected["utterance"].to_list()
    if len(ordered) < int(size):
        remedy = "lower the size or use all"
        if (fold["role"] == "dev").any():
            remedy = "lower the size, use all, or make the development set smaller"
            remedy += " (development: random or speakers)"
        raise ProtocolError(
            f"training size {size}: this fold has only {len(ordered)} training utterances; "
            + remedy
        )
    return ordered["utterance"].to_list()[: int(size)]


def shuffled_labels(assigned: pl.DataFrame, generator: np.random.Generator) -> pl.Series:
    """Return the labels permuted within the training and within the development utterances.

    This is a negative control: the labels carry no information, so scores on the test utterances,
    whose labels stay true, must be at chance level. Each order has its own permutation, because a
    single one may by accident agree, or disagree, with the truth for a whole class.

    Parameters
    ----------
    assigned : DataFrame
        Labelled utterances with the column `role`.
    generator : Generator
        Source of randomness.

    Returns
    -------
    Series
        Label of each row of `assigned`.
    """
    labels = assigned["label"].to_numpy().copy()
    for role in ("train", "dev"):
        indices = np.flatnonzero((assigned["role"] == role).to_numpy())
        labels[indices] = labels[generator.permutation(indices)]
    return pl.Series(labels, dtype=pl.String)


def _round_robin(queues: list[list[str]], generator: np.random.Generator) -> list[str]:
    """Take one item of each queue per round, in a new random order each round."""
    order: list[str] = []
    depth = 0
    while len(order) < sum(map(len, queues)):
        ready = [queue for queue in queues if depth < len(queue)]
        order += [ready[index][depth] for index in generator.permutation(len(ready))]
        depth += 1
    return order


def _permuted(names: list[str], generator: np.random.Generator) -> list[str]:
    return [names[index] for index in generator.permutation(len(names))]
