"""The human ceiling: how well one more rater would do, and every experiment on the same terms."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from emoscale.evaluation.rater_votes import RaterVotes, agreement_of_raters, rater_votes
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
from emoscale.training.metrics import unweighted_accuracies

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


def _labels_are_acted(
    utterances: pl.DataFrame, label_of: Mapping[str, str], class_of: Mapping[str, Mapping[str, str]]
) -> bool:
    """Whether the label of every utterance is the class of its acted emotion."""
    return all(
        class_of[corpus].get(acted) == label_of[key]
        for key, corpus, acted in utterances.select("utterance", "corpus", "acted").iter_rows()
    )
