"""The table of robustness: the loss in accuracy of trained models on perturbed test audio."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import polars as pl
import pyarrow as pa

from emoscale.config.robustness import CLEAN
from emoscale.evaluation.speakers import (
    bootstrap_speakers,
    bootstrap_unweighted_accuracy,
    confidence_interval,
    count_predictions,
    unweighted_accuracy,
)
from emoscale.tables.parquet import dataframe_of
from emoscale.tables.schemas import schema_field
from emoscale.training.metrics import metrics_of

KINDS = (CLEAN, "white noise", "babble", "reverberation", "telephone")
"""Kinds of conditions, in the order of the table."""

_INTERVAL = "95 % interval, bootstrap over speakers and trainings; null: one speaker only"
_PAIRED_INTERVAL = (
    "95 % interval, bootstrap over speakers and trainings, paired with clean audio; null: one "
    "speaker only"
)

ROBUSTNESS = pa.schema(
    [
        schema_field("experiment", pa.string(), "name of the experiment (representation, model)"),
        schema_field("size", pa.string(), "training size, as in the study"),
        schema_field(
            "condition", pa.string(), "name of the condition; clean: unmodified test audio"
        ),
        schema_field("kind", pa.string(), "clean, white noise, babble, reverberation or telephone"),
        schema_field(
            "level",
            pa.float64(),
            "signal-to-noise ratio or reverberation time (RT60), in `unit`; null: not applicable",
            null=True,
        ),
        schema_field("unit", pa.string(), "unit of `level`: dB or s; empty: not applicable"),
        schema_field("test_utterances", pa.int32(), "test utterances of all folds"),
        schema_field("speakers", pa.int32(), "tested speakers of all folds"),
        schema_field(
            "ua",
            pa.float64(),
            "unweighted accuracy (UA); folds pooled, mean over repeats, 0 to 1",
        ),
        schema_field("ua_low", pa.float64(), f"lower end of its {_INTERVAL}", null=True),
        schema_field("ua_high", pa.float64(), f"upper end of its {_INTERVAL}", null=True),
        schema_field("wa", pa.float64(), "accuracy (WA); folds pooled, mean over repeats, 0 to 1"),
        schema_field(
            "drop", pa.float64(), "UA of the same models on clean audio minus UA in this condition"
        ),
        schema_field("drop_low", pa.float64(), f"lower end of its {_PAIRED_INTERVAL}", null=True),
        schema_field("drop_high", pa.float64(), f"upper end of its {_PAIRED_INTERVAL}", null=True),
    ]
)
"""One row per experiment, training size and condition; the first of each is clean."""


def robustness_table(
    predictions: pl.DataFrame,
    conditions: Mapping[str, Any],
    speaker_of: pl.DataFrame,
    classes: list[str],
    seed: int,
) -> pl.DataFrame:
    """Compute the scores of each experiment in each condition.

    Drops are paired: a bootstrap sample of speakers and trainings applies to both conditions.

    Parameters
    ----------
    predictions : DataFrame
        Columns `experiment, size, condition, utterance, repeat, label, predicted`, of all folds;
        also `fold` and `order`, for the same intervals as in the table of scores.
    conditions : mapping of str to ConditionSettings
        Settings of the conditions by name.
    speaker_of : DataFrame
        Columns `utterance, speaker`.
    classes : list of str
        Class names.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    DataFrame
        One row per experiment, size and condition (schema `ROBUSTNESS`).
    """
    rows: list[dict[str, object]] = []
    for (experiment, size), predictions_of_cell in predictions.group_by(
        "experiment", "size", maintain_order=True
    ):
        by_condition = {
            str(name): table
            for (name,), table in predictions_of_cell.group_by("condition", maintain_order=True)
        }
        clean = count_predictions(by_condition[CLEAN], speaker_of, classes)
        speakers = len(clean.speakers)
        bootstrap = bootstrap_speakers(clean.speakers, seed, folds=clean.fold_names)
        clean_bootstrap_ua = bootstrap_unweighted_accuracy(clean, bootstrap)
        for name in sorted(by_condition, key=lambda name: _sort_key(name, conditions)):
            counts = count_predictions(by_condition[name], speaker_of, classes)
            bootstrap_ua = bootstrap_unweighted_accuracy(counts, bootstrap)
            kind, level, unit = _kind_and_level(name, conditions)
            low, high = confidence_interval(bootstrap_ua, speakers)
            drop_low, drop_high = confidence_interval(clean_bootstrap_ua - bootstrap_ua, speakers)
            metrics = metrics_of(counts.confusions.sum(axis=(0, 1)))
            rows.append(
                {
                    "experiment": experiment,
                    "size": size,
                    "condition": name,
                    "kind": kind,
                    "level": level,
                    "unit": unit,
                    "test_utterances": by_condition[name]["utterance"].n_unique(),
                    "speakers": speakers,
                    "ua": unweighted_accuracy(counts),
                    "ua_low": _null_if_nan(low),
                    "ua_high": _null_if_nan(high),
                    "wa": metrics.accuracy,
                    "drop": unweighted_accuracy(clean) - unweighted_accuracy(counts),
                    "drop_low": _null_if_nan(drop_low),
                    "drop_high": _null_if_nan(drop_high),
                }
            )
    return dataframe_of(rows, ROBUSTNESS)


def _kind_and_level(name: str, conditions: Mapping[str, Any]) -> tuple[str, float | None, str]:
    if name == CLEAN:
        return CLEAN, None, ""
    settings = conditions[name]
    return settings.kind, settings.level, settings.unit


def _sort_key(name: str, conditions: Mapping[str, Any]) -> tuple[int, float, str]:
    """Sort by kind, then from the mildest condition to the most severe."""
    kind, level, unit = _kind_and_level(name, conditions)
    severity = (level or 0.0) * (-1 if unit == "dB" else 1)
    return KINDS.index(kind), severity, name


def _null_if_nan(value: float) -> float | None:
    return None if math.isnan(value) else value
