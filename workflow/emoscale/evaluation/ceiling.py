"""The human ceiling: how well one more rater would do, and every experiment on the same terms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from emoscale.evaluation.scores import INTERVAL_METRICS
from emoscale.evaluation.speakers import (
    PredictionCounts,
    bootstrap_scores,
    bootstrap_speakers,
    confidence_interval,
    count_predictions,
    pooled_score,
)
from emoscale.tables.parquet import dataframe_of
from emoscale.tables.schemas import schema_field
from emoscale.training.metrics import Floats, ratio, unweighted_accuracies

ONE_MORE_RATER = "one more rater"
"""Name of the rater in the column `experiment`; no experiment has spaces in its name."""

OTHER_RATERS = "other raters"
"""Target: the strict plurality of the votes of the other raters."""

LABEL = "label"
"""Target: the label of the study."""

_PER_VOTE = "every vote counts once, mean over repeats, 0 to 1"
_INTERVAL = "95 % interval, bootstrap over speakers and trainings"


def _score_columns(name: str, meaning: str) -> list[pa.Field]:
    return [
        schema_field(name, pa.float64(), meaning, null=True),
        schema_field(f"{name}_low", pa.float64(), f"lower end of its {_INTERVAL}", null=True),
        schema_field(f"{name}_high", pa.float64(), f"upper end of its {_INTERVAL}", null=True),
    ]


CEILING = pa.schema(
    [
        schema_field(
            "experiment",
            pa.string(),
            f"name of the experiment; {ONE_MORE_RATER}: each rater's vote as a prediction",
        ),
        schema_field(
            "size", pa.string(), "training size: the experiment's largest; null: a rater", null=True
        ),
        schema_field(
            "target",
            pa.string(),
            f"truth; {OTHER_RATERS}: the strict plurality of the other raters' votes, for each "
            f"vote that is left out in turn; {LABEL}: the label of the study, which may itself be "
            "a result of the votes",
        ),
        schema_field(
            "is_ceiling",
            pa.bool_(),
            f"whether this target is the human ceiling of the study: {LABEL} if the labels are the "
            f"acted emotions, otherwise {OTHER_RATERS}",
        ),
        schema_field("utterances", pa.int32(), "test utterances with a vote that is scored"),
        schema_field("speakers", pa.int32(), "speakers of these utterances"),
        schema_field("votes", pa.int32(), "votes that are scored, one per rater and utterance"),
        schema_field(
            "tied_votes", pa.int32(), "votes left out because the other raters' votes are tied"
        ),
        schema_field("single_votes", pa.int32(), "votes left out because there is no other vote"),
        schema_field(
            "votes_outside_classes", pa.int32(), "votes left out that are for none of the classes"
        ),
        *_score_columns("ua", f"unweighted accuracy (UA); {_PER_VOTE}"),
        *_score_columns("wa", f"accuracy (WA); {_PER_VOTE}"),
        *_score_columns("macro_f1", f"mean F1 over classes; {_PER_VOTE}"),
        *_score_columns("difference", "UA minus that of one more rater; null: a rater"),
        schema_field(
            "cross_entropy",
            pa.float64(),
            "cross-entropy of the probabilities against the distribution of the other raters' "
            "votes, nats; null: of the label",
            null=True,
        ),
        schema_field(
            "jensen_shannon",
            pa.float64(),
            "Jensen-Shannon divergence between the same two distributions, bits, 0 to 1; null: of "
            "the label",
            null=True,
        ),
        schema_field(
            "fleiss_kappa",
            pa.float64(),
            "Fleiss's kappa of the raters; null: of an experiment or of the label, or all votes "
            "are for one class",
            null=True,
        ),
        schema_field(
            "krippendorff_alpha",
            pa.float64(),
            "Krippendorff's alpha of the raters, nominal; null: as in fleiss_kappa",
            null=True,
        ),
    ]
)
"""One row per target for the rater, and per experiment and target; no rows without votes."""


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


def ceiling_table(
    cells: Iterable[pl.DataFrame],
    utterances: pl.DataFrame,
    class_of: Mapping[str, Mapping[str, str]],
    classes: list[str],
    seed: int,
) -> pl.DataFrame:
    """Score one more rater, and every experiment on the same votes.

    Each vote is left out in turn. Its truth is the strict plurality of the other raters' votes for
    the utterance; where they tie, or where there is no other vote, the vote is excluded. The rater
    predicts the vote that was left out; an experiment predicts its class for the utterance. So both
    are scored against the same truths, equally often. Only votes for classes of the study count,
    and only those of test utterances. A rater who chose several labels has one vote, divided
    equally (as in `corpus.votes.vote_shares`). Intervals are those of `evaluation.speakers`.

    The distribution of an experiment is its probabilities. That of a rater is what the vote says
    about another vote: how often another rater of an utterance chose each class, given the class
    that the rater chose, over all test utterances. Both are compared with the distribution of the
    other raters' votes.

    Parameters
    ----------
    cells : iterable of DataFrame
        Predictions of each experiment at one size (schema `study_predictions_schema`); all have the
        same test utterances.
    utterances : DataFrame
        The utterance table.
    class_of : mapping of str to mapping
        For each corpus, the class of each label that is in a class.
    classes : list of str
        Class names.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    DataFrame
        Schema `CEILING`, the rater first; empty if no test utterance has votes of two raters.
    """
    rest = iter(cells)
    first = next(rest)
    tested = first.select("fold", "utterance", "label").unique()
    of_tests = utterances.join(tested, on="utterance", how="semi")
    votes = rater_votes(of_tests, class_of, classes)
    numbers = votes.plurality_of_others
    if not (numbers >= 0).any():
        return dataframe_of([], CEILING)
    label_of = dict(tested.select("utterance", "label").iter_rows())
    truths = {
        OTHER_RATERS: [classes[number] if number >= 0 else None for number in numbers],
        LABEL: [label_of[key] for key in votes.keys["utterance"]],
    }
    ceiling = LABEL if _labels_are_acted(of_tests, label_of, class_of) else OTHER_RATERS
    targets = [
        _target(name, name == ceiling, votes, labels, tested, of_tests, classes)
        for name, labels in truths.items()
    ]
    kappa, alpha = agreement_of_raters(votes)
    of_rater = {"fleiss_kappa": kappa, "krippendorff_alpha": alpha}
    of_rater |= votes.distribution_scores(tested)
    key: dict[str, object] = {"experiment": ONE_MORE_RATER}
    rows = [key | target.row(target.rater, of_rater, seed) for target in targets]
    for cell in chain([first], rest):
        key = cell.select("experiment", "size").row(0, named=True)
        probabilities = cell.select(f"p_{name}" for name in classes).to_numpy()
        distribution = votes.distribution_scores(cell, probabilities)
        for target in targets:
            weighted = cell.drop("label").join(target.weights, on="utterance")
            counts = count_predictions(weighted, of_tests, classes)
            rows.append(key | target.row(counts, distribution, seed))
    return dataframe_of(rows, CEILING)


def human_ceiling(ceiling: pl.DataFrame, experiment: str = ONE_MORE_RATER) -> dict[str, Any] | None:
    """Return the row of the human ceiling, or of an experiment on the same votes.

    Parameters
    ----------
    ceiling : DataFrame
        The table of the human ceiling (schema `CEILING`).
    experiment : str
        Name of the experiment.

    Returns
    -------
    dict or None
        The row whose target is the human ceiling of the study; None: the corpus has no votes.
    """
    return next(ceiling.filter("is_ceiling", experiment=experiment).iter_rows(named=True), None)


@dataclass(frozen=True)
class _Target:
    """Truths of the votes, and the predictions of one more rater."""

    columns: dict[str, object]
    """Columns of the table that all rows of the target share."""

    weights: pl.DataFrame
    """Columns `utterance, label, weight`: the votes of an utterance with this truth."""

    rater: PredictionCounts

    def row(
        self, counts: PredictionCounts, distribution: Mapping[str, float | None], seed: int
    ) -> dict[str, object]:
        """Return the row of the rater, or of an experiment with its difference to the rater."""
        row = dict(self.columns)
        if self.columns["target"] == OTHER_RATERS:
            row |= distribution
        speakers = len(counts.speakers)
        bootstrap = bootstrap_speakers(counts.speakers, seed, folds=counts.fold_names)
        for name, metric in INTERVAL_METRICS.items():
            samples = bootstrap_scores(counts, bootstrap, metric)
            row[name] = pooled_score(counts, metric)
            row[f"{name}_low"], row[f"{name}_high"] = confidence_interval(samples, speakers)
        if counts is not self.rater:
            metric = unweighted_accuracies
            samples = bootstrap_scores(counts, bootstrap, metric)
            samples = samples - bootstrap_scores(self.rater, bootstrap, metric)
            low, high = confidence_interval(samples, speakers)
            row["difference"] = pooled_score(counts, metric) - pooled_score(self.rater, metric)
            row |= {"difference_low": low, "difference_high": high}
        return row


def _target(
    name: str,
    is_ceiling: bool,
    votes: RaterVotes,
    labels: list[str | None],
    tested: pl.DataFrame,
    utterances: pl.DataFrame,
    classes: list[str],
) -> _Target:
    """Return the target with these truths of the votes; None: the vote is left out."""
    rows, columns = np.nonzero(votes.weights)
    predictions = pl.DataFrame(
        {
            "utterance": votes.keys["utterance"].gather(rows),
            "label": pl.Series(labels, dtype=pl.String).gather(rows),
            "predicted": [classes[column] for column in columns],
            "weight": votes.weights[rows, columns],
        }
    ).drop_nulls()
    in_folds = predictions.join(tested.select("fold", "utterance"), on="utterance")
    rater = count_predictions(in_folds.with_columns(repeat=0, order=0), utterances, classes)
    scored = pl.Series(labels, dtype=pl.String).is_not_null()
    single = int((~votes.has_others).sum()) if name == OTHER_RATERS else 0
    return _Target(
        {
            "target": name,
            "is_ceiling": is_ceiling,
            "utterances": predictions["utterance"].n_unique(),
            "speakers": len(rater.speakers),
            "votes": int(scored.sum()),
            "tied_votes": int((~scored).sum()) - single,
            "single_votes": single,
            "votes_outside_classes": votes.outside,
        },
        predictions.group_by("utterance", "label").agg(pl.col("weight").sum()),
        rater,
    )


def _classes_of_labels(class_of: Mapping[str, Mapping[str, str]]) -> pl.DataFrame:
    """Return the columns `corpus, label, class`."""
    rows = [
        (corpus, label, name)
        for corpus, classes in class_of.items()
        for label, name in classes.items()
    ]
    schema = dict.fromkeys(("corpus", "label", "class"), pl.String)
    return pl.DataFrame(rows, schema=schema, orient="row")


def _labels_are_acted(
    utterances: pl.DataFrame, label_of: Mapping[str, str], class_of: Mapping[str, Mapping[str, str]]
) -> bool:
    """Whether the label of every utterance is the class of its acted emotion."""
    return all(
        class_of[corpus].get(acted) == label_of[key]
        for key, corpus, acted in utterances.select("utterance", "corpus", "acted").iter_rows()
    )
