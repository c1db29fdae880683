"""The table of scores: a row an experiment and training size, over all folds and repeats."""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from emoscale.config.protocol import SeededProtocolSettings
from emoscale.evaluation.runs import confusion_of
from emoscale.evaluation.speakers import Answers, count_answers, draw_speakers, drawn, interval
from emoscale.evaluation.variance import linearised, variance_of
from emoscale.tables.schemas import schema_field
from emoscale.training.metrics import (
    accuracies,
    brier_score,
    expected_calibration_error,
    macro_f1s,
    metrics_of,
    unweighted_accuracies,
)

_INTERVALS = {"ua": unweighted_accuracies, "wa": accuracies, "macro_f1": macro_f1s}


def scores_schema(classes: list[str]) -> pa.Schema:
    """A row an experiment and training size."""
    pooled = "test utterances of all folds pooled, mean over repeats, 0 to 1"
    share = "of the variance of `ua`, from other speakers and trainings"
    return pa.schema(
        [
            schema_field("study", pa.string(), "name of the study"),
            schema_field("corpus", pa.string(), "corpus; a generated one is called synthetic"),
            schema_field(
                "experiment", pa.string(), "representation and model, by the study's name"
            ),
            schema_field("representations", pa.string(), "what is learned from; + between several"),
            schema_field("modality", pa.string(), "audio, text or external; + between several"),
            schema_field(
                "pretrained_weights",
                pa.string(),
                "where pre-trained weights come from; empty: none",
            ),
            schema_field(
                "chunked_utterances",
                pa.int32(),
                "of the largest job's, too long for the network to see as a whole",
            ),
            schema_field("model", pa.string(), "kind of classifier"),
            schema_field("size", pa.string(), "training size as asked for"),
            schema_field("training_utterances_mean", pa.float64(), "labels learned from, mean"),
            schema_field("training_utterances_minimum", pa.int32(), "in the smallest fold"),
            schema_field("training_utterances_maximum", pa.int32(), "in the largest fold"),
            schema_field("folds", pa.int32(), "number of folds"),
            schema_field("repeats", pa.int32(), "training orders and initialisations a fold"),
            schema_field("test_utterances", pa.int32(), "over all folds"),
            schema_field("ua", pa.float64(), f"unweighted accuracy; {pooled}"),
            *_ends("ua"),
            schema_field("ua_repeat_std", pa.float64(), "standard deviation of it over repeats"),
            schema_field(
                "ua_fold_mean", pa.float64(), "unweighted accuracy a fold, mean over folds"
            ),
            schema_field("ua_fold_std", pa.float64(), "standard deviation of it over folds"),
            schema_field("wa", pa.float64(), f"accuracy; {pooled}"),
            *_ends("wa"),
            schema_field("wa_fold_mean", pa.float64(), "accuracy a fold, mean over folds"),
            schema_field("macro_f1", pa.float64(), f"mean F1 over classes; {pooled}"),
            *_ends("macro_f1"),
            schema_field("macro_f1_fold_mean", pa.float64(), "mean F1 a fold, mean over folds"),
            *(
                schema_field(f"recall_{name}", pa.float64(), f"recall; {pooled}")
                for name in classes
            ),
            schema_field("chance_ua", pa.float64(), "unweighted accuracy of guessing"),
            schema_field(
                "ece",
                pa.float64(),
                "expected calibration error of the top probability, 15 bins of equal width, 0 to "
                "1; mean over repeats",
            ),
            schema_field(
                "brier",
                pa.float64(),
                "squared distance of the probabilities to the truth, summed over classes, 0 to 2; "
                "mean over repeats",
            ),
            schema_field("test_speakers", pa.int32(), "over all folds"),
            schema_field(
                "variance_speakers",
                pa.float64(),
                f"share {share}, that comes from speakers, 0 to 1; null: one repeat, or no "
                "variance",
                null=True,
            ),
            schema_field(
                "variance_trainings",
                pa.float64(),
                f"share {share}, that comes from trainings: orders (with what they are told) and "
                "seeds together, 0 to 1; null: one repeat, or no variance",
                null=True,
            ),
            schema_field(
                "variance_orders",
                pa.float64(),
                "orders' (training subsets') part of variance_trainings; null: cannot be told from "
                "the seeds' (needs protocol.seeds_per_order of 2 or more, and 2 or more orders)",
                null=True,
            ),
            schema_field(
                "variance_seeds",
                pa.float64(),
                "seeds' (initialisations') part of variance_trainings; null: as variance_orders",
                null=True,
            ),
            schema_field("seconds", pa.float64(), "wall time of its jobs together", measured=True),
            schema_field(
                "peak_memory_megabytes", pa.float64(), "of the largest job", measured=True
            ),
            schema_field("notes", pa.string(), "what weakens the protocol"),
        ]
    )


CONFUSION = pa.schema(
    [
        schema_field("experiment", pa.string(), "representation and model, by the study's name"),
        schema_field("size", pa.string(), "training size as asked for"),
        schema_field("label", pa.string(), "true class"),
        schema_field("predicted", pa.string(), "predicted class"),
        schema_field("utterances", pa.float64(), "all folds pooled, mean over repeats"),
        schema_field("fraction", pa.float64(), "of the true class, 0 to 1"),
    ]
)
"""A row an experiment, size, true and predicted class."""


def score_table(
    runs: pl.DataFrame,
    predictions: pl.DataFrame,
    speaker_of: pl.DataFrame,
    classes: list[str],
    protocol: SeededProtocolSettings,
) -> pl.DataFrame:
    """Scores from the runs and their predictions, in the runs' order.

    `speaker_of` has `utterance, speaker`. A deviation is that of the sample; with one repeat (or
    fold) it is 0. Intervals are those of `evaluation.speakers`.
    """
    rows = []
    for (experiment, size), own in runs.group_by("experiment", "size", maintain_order=True):
        of_cell = predictions.filter(
            (pl.col("experiment") == experiment) & (pl.col("size") == size)
        )
        pooled = [
            metrics_of(confusion_of(part, classes))
            for _, part in of_cell.group_by("repeat", maintain_order=True)
        ]
        answers = count_answers(of_cell, speaker_of, classes)
        by_fold = own.group_by("fold", maintain_order=True).agg(
            pl.col("ua", "wa", "macro_f1").mean()
        )
        first = own.row(0, named=True)
        ua = np.array([metrics.unweighted_accuracy for metrics in pooled])
        recalls = np.array([metrics.recalls for metrics in pooled]).mean(axis=0)
        rows.append(
            {
                **{name: first[name] for name in ("study", "corpus", "experiment")},
                **{
                    name: first[name]
                    for name in ("representations", "modality", "pretrained_weights")
                },
                "chunked_utterances": own["chunked_utterances"].max(),
                **{name: first[name] for name in ("model", "size")},
                "training_utterances_mean": own["training_utterances"].mean(),
                "training_utterances_minimum": own["training_utterances"].min(),
                "training_utterances_maximum": own["training_utterances"].max(),
                "folds": own["fold"].n_unique(),
                "repeats": own["repeat"].n_unique(),
                "test_utterances": of_cell["utterance"].n_unique(),
                "ua": ua.mean(),
                "ua_repeat_std": _deviation(ua),
                "ua_fold_mean": by_fold["ua"].mean(),
                "ua_fold_std": _deviation(by_fold["ua"].to_numpy()),
                "wa": np.mean([metrics.accuracy for metrics in pooled]),
                "wa_fold_mean": by_fold["wa"].mean(),
                "macro_f1": np.mean([metrics.macro_f1 for metrics in pooled]),
                "macro_f1_fold_mean": by_fold["macro_f1"].mean(),
                **_intervals(answers, protocol.seed),
                **{f"recall_{name}": recalls[place] for place, name in enumerate(classes)},
                "chance_ua": 1 / len(classes),
                **_calibration(of_cell, classes),
                "test_speakers": len(answers.speakers),
                **_variance_shares(answers, first, protocol),
                "seconds": own.unique("fold")["cell_seconds"].sum(),
                "peak_memory_megabytes": own["peak_memory_megabytes"].max(),
                "notes": first["notes"],
            }
        )
    return pl.DataFrame(rows, infer_schema_length=None)


def confusion_table(predictions: pl.DataFrame, classes: list[str]) -> pl.DataFrame:
    """Confusion counts of each experiment and size (schema `CONFUSION`)."""
    rows = []
    for (experiment, size), own in predictions.group_by("experiment", "size", maintain_order=True):
        counts = confusion_of(own, classes) / own["repeat"].n_unique()
        for place, label in enumerate(classes):
            total = counts[place].sum()
            for other, predicted in enumerate(classes):
                rows.append(
                    {
                        "experiment": experiment,
                        "size": size,
                        "label": label,
                        "predicted": predicted,
                        "utterances": counts[place, other],
                        "fraction": counts[place, other] / total if total else 0.0,
                    }
                )
    return pl.DataFrame(rows)


def _ends(name: str) -> list[pa.Field]:
    """The columns of an interval."""
    meaning = "end of the 95 % interval of {}, from drawing speakers and trainings again"
    return [
        schema_field(f"{name}_low", pa.float64(), f"lower {meaning.format(name)}"),
        schema_field(f"{name}_high", pa.float64(), f"upper {meaning.format(name)}"),
    ]


def _intervals(answers: Answers, seed: int) -> dict[str, float]:
    draws = draw_speakers(answers.speakers, seed)
    ends: dict[str, float] = {}
    for name, metric in _INTERVALS.items():
        values = drawn(answers, draws, metric)
        ends[f"{name}_low"], ends[f"{name}_high"] = interval(values, len(answers.speakers))
    return ends


def _calibration(predictions: pl.DataFrame, classes: list[str]) -> dict[str, float]:
    place = {name: number for number, name in enumerate(classes)}
    errors, scores = [], []
    for _, own in predictions.group_by("repeat", maintain_order=True):
        probabilities = own.select(f"p_{name}" for name in classes).to_numpy()
        truth = own["label"].replace_strict(place, return_dtype=pl.Int64).to_numpy()
        right = (own["label"] == own["predicted"]).to_numpy()
        errors.append(expected_calibration_error(probabilities.max(axis=1), right))
        scores.append(brier_score(probabilities, truth))
    return {"ece": float(np.mean(errors)), "brier": float(np.mean(scores))}


def _variance_shares(
    answers: Answers, run: dict[str, Any], protocol: SeededProtocolSettings
) -> dict[str, float | None]:
    """Of UA's variance; orders and seeds where the design or the kind of experiment tells them."""
    names = ("speakers", "trainings", "orders", "seeds")
    shares: dict[str, float | None] = dict.fromkeys(f"variance_{name}" for name in names)
    orders = answers.orders or tuple(range(answers.repeats))
    contributions = linearised(answers.right, answers.there)
    variance = variance_of(contributions, answers.in_fold, orders)
    if variance.trainings is None or not variance.total > 0:  # none of one speaker
        return shares
    trainings = min(variance.trainings / variance.total, 1.0)
    seeds = None if variance.seeds is None else variance.seeds / variance.total
    if run["model"] == "estimator":
        seeds = 0.0  # fitted, not drawn: only what it learns from differs
    elif run["size"] == "all" and not protocol.shuffle_labels:
        seeds = trainings  # every order holds the same utterances, with the same labels
    shares |= {"variance_speakers": 1.0 - trainings, "variance_trainings": trainings}
    if seeds is not None:
        seeds = min(seeds, trainings)
        shares |= {"variance_orders": trainings - seeds, "variance_seeds": seeds}
    return shares


def _deviation(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0
