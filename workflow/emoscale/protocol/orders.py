"""Nested training subsets: the k-subset is the first k of one balanced order."""

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
    """A fold's roles, labels, votes and training orders (columns of `tables.protocol_schema`).

    `rank_<repeat>` is an utterance's place in that repeat's training order, null outside training;
    `seeds_per_order` repeats have the same one, and are told the same.
    With `shuffle_labels`, `told_<repeat>` is the class that the repeat is told, and the votes are
    left out, because they are not permuted.
    """
    dealt = assign_roles(utterances, settings, fold, seed)
    votes = pl.col("vote_shares")
    if settings.shuffle_labels:
        votes = pl.lit(None, dtype=dealt.schema["vote_shares"])
    table = dealt.select("utterance", "role", "label", "speaker", votes=votes)
    told: list[pl.Series] = []
    for repeat in range(settings.repeats):
        labels = dealt["label"]
        order_number = settings.order_of(repeat)
        if settings.shuffle_labels:
            labels = shuffled_labels(dealt, np.random.default_rng([seed, 43, fold, order_number]))
            told.append(labels.alias(f"training_label_{repeat}"))
        training = dealt.with_columns(label=labels).filter(pl.col("role") == "train")
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
    return table.with_columns(told)


def training_labels(fold: pl.DataFrame, repeat: int) -> pl.Series:
    """What a repeat is told the classes are: the truth, but for a negative control."""
    return fold[
        f"training_label_{repeat}" if f"training_label_{repeat}" in fold.columns else "label"
    ]


def balanced_order(
    utterances: Sequence[str],
    labels: Sequence[str],
    speakers: Sequence[str],
    generator: np.random.Generator,
) -> list[str]:
    """A random order whose every beginning is balanced over classes, and over speakers within one.

    The classes take turns as long as each has utterances left; within a class its speakers take
    turns likewise. When one runs out the others go on.
    """
    turns = []
    for label in sorted(set(labels)):
        of_class: dict[str, list[str]] = {}
        for utterance, own, speaker in zip(utterances, labels, speakers, strict=True):
            if own == label:
                of_class.setdefault(speaker, []).append(utterance)
        by_speaker = [_shuffled(of_class[name], generator) for name in sorted(of_class)]
        turns.append(_take_turns(by_speaker, generator))
    return _take_turns(turns, generator)


def subset(fold: pl.DataFrame, repeat: int, size: str) -> list[str]:
    """Utterances of one training: the first of the repeat's order, in that order.

    `size` is a total ('500'), a number a class ('125-per-class') or 'all'. Raises `ProtocolError`
    where the fold has fewer.
    """
    check_size(size)
    told = fold.with_columns(label=training_labels(fold, repeat))
    ordered = told.filter(pl.col("role") == "train").sort(f"rank_{repeat}")
    if size == "all":
        return ordered["utterance"].to_list()
    if size.endswith("-per-class"):
        wanted = int(size.removesuffix("-per-class"))
        counts = dict(ordered.group_by("label").len().iter_rows())
        scarce = min(counts, key=lambda label: (counts[label], label))
        if counts[scarce] < wanted:
            raise ProtocolError(
                f"training size {size}: class {scarce} has only {counts[scarce]} training "
                "utterances in this fold; lower the size or use all"
            )
        first = ordered.filter(pl.int_range(pl.len()).over("label") < wanted)
        return first["utterance"].to_list()
    if len(ordered) < int(size):
        way_out = "lower the size or use all"
        if (fold["role"] == "dev").any():
            way_out = "lower the size, use all, or make the development set smaller"
            way_out += " (development: random or speakers)"
        raise ProtocolError(
            f"training size {size}: this fold has only {len(ordered)} training utterances; "
            + way_out
        )
    return ordered["utterance"].to_list()[: int(size)]


def shuffled_labels(dealt: pl.DataFrame, generator: np.random.Generator) -> pl.Series:
    """The labels, permuted within the training and within the development utterances.

    A negative control: nothing can be learned from them, so scores on the test utterances, whose
    labels stay true, must be at chance. Each order has a permutation of its own, because one alone
    may by accident be told what is nearly right, or nearly wrong, for a whole class.
    """
    labels = dealt["label"].to_numpy().copy()
    for role in ("train", "dev"):
        places = np.flatnonzero((dealt["role"] == role).to_numpy())
        labels[places] = labels[generator.permutation(places)]
    return pl.Series(labels, dtype=pl.String)


def _take_turns(queues: list[list[str]], generator: np.random.Generator) -> list[str]:
    """One from each queue a round, in an order drawn anew each round, until all are empty."""
    order: list[str] = []
    depth = 0
    while len(order) < sum(map(len, queues)):
        ready = [queue for queue in queues if depth < len(queue)]
        order += [ready[index][depth] for index in generator.permutation(len(ready))]
        depth += 1
    return order


def _shuffled(names: list[str], generator: np.random.Generator) -> list[str]:
    return [names[index] for index in generator.permutation(len(names))]
