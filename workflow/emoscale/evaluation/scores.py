"""The table of scores: a row an experiment and training size, over all folds and repeats."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa

from emoscale.evaluation.metrics import metrics_of
from emoscale.evaluation.runs import confusion_of
from emoscale.tables import described


def scores_schema(classes: list[str]) -> pa.Schema:
    """A row an experiment and training size."""
    pooled = "test utterances of all folds pooled, mean over repeats, 0 to 1"
    return pa.schema(
        [
            described("study", pa.string(), "name of the study"),
            described("corpus", pa.string(), "corpus; a generated one is called synthetic"),
            described("experiment", pa.string(), "representation and model, by the study's name"),
            described("representations", pa.string(), "what is learned from; + between several"),
            described("modality", pa.string(), "audio, text or external; + between several"),
            described("weights", pa.string(), "where pre-trained weights come from; empty: none"),
            described(
                "utterances_in_windows",
                pa.int32(),
                "of the largest job's, too long for the network to see as a whole",
            ),
            described("model", pa.string(), "kind of classifier"),
            described("size", pa.string(), "training size as asked for"),
            described("training_utterances_mean", pa.float64(), "labels learned from, mean"),
            described("training_utterances_minimum", pa.int32(), "in the smallest fold"),
            described("training_utterances_maximum", pa.int32(), "in the largest fold"),
            described("folds", pa.int32(), "number of folds"),
            described("repeats", pa.int32(), "training orders and initialisations a fold"),
            described("test_utterances", pa.int32(), "over all folds"),
            described("ua", pa.float64(), f"unweighted accuracy; {pooled}"),
            described("ua_repeat_deviation", pa.float64(), "standard deviation of it over repeats"),
            described("ua_fold_mean", pa.float64(), "unweighted accuracy a fold, mean over folds"),
            described("ua_fold_deviation", pa.float64(), "standard deviation of it over folds"),
            described("wa", pa.float64(), f"accuracy; {pooled}"),
            described("macro_f1", pa.float64(), f"mean F1 over classes; {pooled}"),
            *(described(f"recall_{name}", pa.float64(), f"recall; {pooled}") for name in classes),
            described("chance_ua", pa.float64(), "unweighted accuracy of guessing"),
            described("seconds", pa.float64(), "wall time of its jobs together"),
            described("peak_memory_megabytes", pa.float64(), "of the largest job"),
            described("notes", pa.string(), "what weakens the protocol"),
        ]
    )


CONFUSION = pa.schema(
    [
        described("experiment", pa.string(), "representation and model, by the study's name"),
        described("size", pa.string(), "training size as asked for"),
        described("label", pa.string(), "true class"),
        described("predicted", pa.string(), "predicted class"),
        described("utterances", pa.float64(), "all folds pooled, mean over repeats"),
        described("share", pa.float64(), "of the true class, 0 to 1"),
    ]
)
"""A row an experiment, size, true and predicted class."""


def score_table(runs: pl.DataFrame, predictions: pl.DataFrame, classes: list[str]) -> pl.DataFrame:
    """Scores from the runs and their predictions, in the runs' order.

    A deviation is that of the sample; with one repeat (or fold) it is 0.
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
        by_fold = own.group_by("fold").agg(pl.col("ua").mean())["ua"].to_numpy()
        first = own.row(0, named=True)
        ua = np.array([metrics.unweighted_accuracy for metrics in pooled])
        recalls = np.array([metrics.recalls for metrics in pooled]).mean(axis=0)
        rows.append(
            {
                **{name: first[name] for name in ("study", "corpus", "experiment")},
                **{name: first[name] for name in ("representations", "modality", "weights")},
                "utterances_in_windows": own["utterances_in_windows"].max(),
                **{name: first[name] for name in ("model", "size")},
                "training_utterances_mean": own["training_utterances"].mean(),
                "training_utterances_minimum": own["training_utterances"].min(),
                "training_utterances_maximum": own["training_utterances"].max(),
                "folds": own["fold"].n_unique(),
                "repeats": own["repeat"].n_unique(),
                "test_utterances": of_cell["utterance"].n_unique(),
                "ua": ua.mean(),
                "ua_repeat_deviation": _deviation(ua),
                "ua_fold_mean": by_fold.mean(),
                "ua_fold_deviation": _deviation(by_fold),
                "wa": np.mean([metrics.accuracy for metrics in pooled]),
                "macro_f1": np.mean([metrics.macro_f1 for metrics in pooled]),
                **{f"recall_{name}": recalls[place] for place, name in enumerate(classes)},
                "chance_ua": 1 / len(classes),
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
                        "share": counts[place, other] / total if total else 0.0,
                    }
                )
    return pl.DataFrame(rows)


def _deviation(values: np.ndarray) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0
