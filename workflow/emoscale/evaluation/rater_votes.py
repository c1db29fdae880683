"""Votes of raters for the classes of a study, and how far the raters agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from emoscale.training.metrics import Floats, ratio


@dataclass(frozen=True)
class RaterVotes:
    """Votes for the classes of a study, one row per utterance and rater."""

    keys: pl.DataFrame
    """[votes] columns `vote` (number of the row), `utterance, rater`, sorted."""

    weights: Floats
    """[votes, classes] each rater's vote, divided equally among all labels that the rater chose;
    labels outside the classes are dropped, so that a row sums to at most 1."""

    outside: int
    """Number of pairs of utterance and rater without a vote for a class; they have no row."""

    @cached_property
    def utterance_numbers(self) -> NDArray[np.int64]:
        """[votes] number of the utterance of each vote, from 0."""
        return self.keys["utterance"].rle_id().to_numpy().astype(np.int64)

    @cached_property
    def totals(self) -> Floats:
        """[utterances, classes] sums of the votes of all raters."""
        return self.sum_by_utterance(self.weights)

    @cached_property
    def others(self) -> Floats:
        """[votes, classes] sums of the votes of all other raters of the same utterance."""
        # Rounded, because thirds of a vote do not add up exactly but must tie.
        others: Floats = np.round(self.totals[self.utterance_numbers] - self.weights, 9)
        return others.clip(0)

    @cached_property
    def has_others(self) -> NDArray[np.bool_]:
        """[votes] whether another rater has voted for the same utterance."""
        has_others: NDArray[np.bool_] = self.others.sum(axis=1) > 0
        return has_others

    @cached_property
    def plurality_of_others(self) -> NDArray[np.int64]:
        """[votes] class with the most votes of the other raters; -1: a tie, or no other vote."""
        unique = (self.others == self.others.max(axis=1, keepdims=True)).sum(axis=1) == 1
        return np.where(unique, self.others.argmax(axis=1), -1)

    @cached_property
    def of_another_rater(self) -> Floats:
        """[votes, classes] what each vote says about another: the distribution of other votes.

        It is how often another rater of an utterance chose each class, given the class of the vote.
        """
        pairs = self.totals.T @ self.totals - self.weights.T @ self.weights
        conditional = np.nan_to_num(ratio(pairs, pairs.sum(axis=1, keepdims=True)))
        mixed = self.weights @ conditional
        distributions: Floats = ratio(mixed, mixed.sum(axis=1, keepdims=True))
        return distributions

    def sum_by_utterance(self, values: Floats) -> Floats:
        """Sum values of votes over the raters of each utterance.

        Parameters
        ----------
        values : ndarray
            ``[votes, ...]``.

        Returns
        -------
        ndarray
            ``[utterances, ...]``.
        """
        starts = np.flatnonzero(np.diff(self.utterance_numbers, prepend=-1))
        sums: Floats = np.add.reduceat(values, starts, axis=0)
        return sums

    def distribution_scores(
        self, utterances: pl.DataFrame, probabilities: Floats | None = None
    ) -> dict[str, float]:
        """Compare distributions with that of the other raters' votes, for each vote.

        Parameters
        ----------
        utterances : DataFrame
            Column `utterance`; utterances without votes do not count.
        probabilities : ndarray or None
            ``[utterances, classes]`` distributions; None: that of `of_another_rater`.

        Returns
        -------
        dict of str to float
            `cross_entropy`, nats (probabilities below 2e-16 count as 2e-16), and `jensen_shannon`,
            bits.
        """
        from scipy.special import rel_entr  # 0.2 s to import

        pairs = (
            utterances.select("utterance")
            .with_row_index("row")
            .join(self.keys.filter(self.has_others), on="utterance")
        )
        vote, row = pairs["vote"].to_numpy(), pairs["row"].to_numpy()
        predicted = self.of_another_rater[vote] if probabilities is None else probabilities[row]
        target = self.others[vote] / self.others[vote].sum(axis=1, keepdims=True)
        middle = (predicted + target) / 2
        divergence = (rel_entr(predicted, middle) + rel_entr(target, middle)) / 2 / np.log(2)
        cross_entropy = -target * np.log(predicted.clip(np.finfo(float).eps))
        weights = self.weights[vote].sum(axis=1)
        return {
            "cross_entropy": float(np.average(cross_entropy.sum(axis=1), weights=weights)),
            "jensen_shannon": float(np.average(divergence.sum(axis=1), weights=weights)),
        }


def rater_votes(
    utterances: pl.DataFrame, class_of: Mapping[str, Mapping[str, str]], classes: list[str]
) -> RaterVotes:
    """Return the votes of all raters for the classes of the study.

    Parameters
    ----------
    utterances : DataFrame
        Columns `utterance, corpus, votes`.
    class_of : mapping of str to mapping
        For each corpus, the class of each label that is in a class.
    classes : list of str
        Class names, in the order of the weights.

    Returns
    -------
    RaterVotes
        The votes.

    Examples
    --------
    >>> votes = [("E1", "hap"), ("E1", "exc"), ("E2", "ang"), ("E2", "fru"), ("E3", "fru")]
    >>> rows = [{"rater": rater, "label": label} for rater, label in votes]
    >>> table = pl.DataFrame({"utterance": ["a"], "corpus": ["c"], "votes": [rows]})
    >>> class_of = {"c": {"hap": "happiness", "exc": "happiness", "ang": "anger"}}
    >>> of_raters = rater_votes(table, class_of, ["anger", "happiness"])
    >>> of_raters.weights.tolist(), of_raters.outside
    ([[0.0, 1.0], [0.5, 0.0]], 1)
    """
    key = ["utterance", "rater"]
    chosen = (
        utterances.select("utterance", "corpus", "votes")
        .explode("votes")
        .unnest("votes")
        .drop_nulls("label")
        .unique()
        .with_columns(weight=1 / pl.len().over(key))
        .join(_classes_of_labels(class_of), on=["corpus", "label"], how="left")
    )
    inside = chosen.drop_nulls("class")
    keys = inside.select(key).unique().sort(key).with_row_index("vote")
    indexed = inside.join(keys, on=key)
    weights = np.zeros((len(keys), len(classes)))
    columns = indexed["class"].replace_strict(classes, range(len(classes)), return_dtype=pl.Int64)
    cells = (indexed["vote"].to_numpy(), columns.to_numpy())
    np.add.at(weights, cells, indexed["weight"].to_numpy())
    return RaterVotes(keys, weights, chosen.select(key).n_unique() - len(keys))


def agreement_of_raters(votes: RaterVotes) -> tuple[float | None, float | None]:
    """Compute Fleiss's kappa and Krippendorff's alpha (nominal) of the raters.

    Both compare how often two raters of an utterance agree with how often two votes agree by
    chance, and allow any number of raters per utterance. Kappa averages over utterances, and its
    chance is that of two independent votes; alpha averages over votes, and its chance is that of
    two different votes. Utterances with a single vote do not count.

    Parameters
    ----------
    votes : RaterVotes
        The votes; a divided vote agrees with another in proportion.

    Returns
    -------
    tuple of float or None
        Kappa and alpha, at most 1; None if no utterance has two votes, or if all votes are for one
        class.

    References
    ----------
    J. L. Fleiss, "Measuring Nominal Scale Agreement Among Many Raters", Psychological Bulletin 76,
    1971. K. Krippendorff, "Computing Krippendorff's Alpha-Reliability", 2011, section C.
    """
    weights = votes.weights[votes.has_others]
    class_sums = weights.sum(axis=0)
    if (class_sums > 0).sum() < 2:
        return None, None
    vote_sums = votes.weights.sum(axis=1)
    votes_of_utterance = votes.totals.sum(axis=1)
    equal = (votes.totals**2).sum(axis=1) - votes.sum_by_utterance((votes.weights**2).sum(axis=1))
    pairs = votes_of_utterance**2 - votes.sum_by_utterance(vote_sums**2)
    several = votes.sum_by_utterance(votes.has_others.astype(float)) > 0
    observed = equal[several] / pairs[several]
    chance = (class_sums**2).sum() / class_sums.sum() ** 2
    kappa = (observed.mean() - chance) / (1 - chance)
    chance = ((class_sums**2).sum() - (weights**2).sum()) / (
        class_sums.sum() ** 2 - (weights.sum(axis=1) ** 2).sum()
    )
    alpha = (np.average(observed, weights=votes_of_utterance[several]) - chance) / (1 - chance)
    return float(kappa), float(alpha)


def _classes_of_labels(class_of: Mapping[str, Mapping[str, str]]) -> pl.DataFrame:
    """Return the columns `corpus, label, class`."""
    rows = [
        (corpus, label, name)
        for corpus, classes in class_of.items()
        for label, name in classes.items()
    ]
    schema = dict.fromkeys(("corpus", "label", "class"), pl.String)
    return pl.DataFrame(rows, schema=schema, orient="row")
