"""The table of robustness: what trained models lose when their test audio is changed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import polars as pl
import pyarrow as pa

from emoscale.config.robustness import CLEAN
from emoscale.evaluation.speakers import (
    count_answers,
    draw_speakers,
    drawn_unweighted_accuracy,
    interval,
    unweighted_accuracy,
)
from emoscale.tables.parquet import dataframe_of
from emoscale.tables.schemas import schema_field
from emoscale.training.metrics import metrics_of

KINDS = (CLEAN, "white noise", "babble", "reverberation", "telephone")
"""Kinds of conditions, in the table's order."""

_ENDS = "of the 95 % interval over speakers and repeats; null: one speaker"

ROBUSTNESS = pa.schema(
    [
        schema_field("experiment", pa.string(), "representation and model, by the study's name"),
        schema_field("size", pa.string(), "training size as asked for"),
        schema_field("condition", pa.string(), "by the study's name; clean: audio as it is"),
        schema_field("kind", pa.string(), "white noise, babble, reverberation, telephone; clean"),
        schema_field(
            "level",
            pa.float64(),
            "in `unit`: signal-to-noise ratio, or reverberation time (RT60); null: has none",
            null=True,
        ),
        schema_field("unit", pa.string(), "of the level: dB or s; empty: has none"),
        schema_field("test_utterances", pa.int32(), "over all folds"),
        schema_field("speakers", pa.int32(), "tested, over all folds"),
        schema_field("ua", pa.float64(), "unweighted accuracy; folds pooled, mean over repeats"),
        schema_field("ua_low", pa.float64(), f"lower end {_ENDS}", null=True),
        schema_field("ua_high", pa.float64(), f"upper end {_ENDS}", null=True),
        schema_field("wa", pa.float64(), "accuracy; folds pooled, mean over repeats, 0 to 1"),
        schema_field("drop", pa.float64(), "UA of the same models on clean audio less this one"),
        schema_field("drop_low", pa.float64(), f"lower end {_ENDS}; paired by speaker", null=True),
        schema_field("drop_high", pa.float64(), f"upper end {_ENDS}; paired by speaker", null=True),
    ]
)
"""A row an experiment, training size and condition; the first of each is clean."""


def robustness_table(
    predictions: pl.DataFrame,
    conditions: Mapping[str, Any],
    speaker_of: pl.DataFrame,
    classes: list[str],
    seed: int,
) -> pl.DataFrame:
    """Scores under each condition (schema `ROBUSTNESS`).

    `predictions` has `experiment, size, condition, utterance, repeat, label, predicted` of all
    folds, and for intervals like those of `scores` also `fold, order`; `conditions` are their
    settings by name; `speaker_of` has `utterance, speaker`. Drops are paired: each draw of
    speakers and repeats is of both conditions.
    """
    rows: list[dict[str, object]] = []
    for (experiment, size), own in predictions.group_by("experiment", "size", maintain_order=True):
        by_condition = {
            str(name): part for (name,), part in own.group_by("condition", maintain_order=True)
        }
        clean = count_answers(by_condition[CLEAN], speaker_of, classes)
        speakers = len(clean.speakers)
        draws = draw_speakers(clean.speakers, seed)
        drawn_clean = drawn_unweighted_accuracy(clean, draws)
        for name in sorted(by_condition, key=lambda name: _place(name, conditions)):
            answers = count_answers(by_condition[name], speaker_of, classes)
            drawn = drawn_unweighted_accuracy(answers, draws)
            kind, level, unit = _described(name, conditions)
            low, high = interval(drawn, speakers)
            drop_low, drop_high = interval(drawn_clean - drawn, speakers)
            pooled = metrics_of(answers.confusions.sum(axis=(0, 1)))
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
                    "ua": unweighted_accuracy(answers),
                    "ua_low": _or_null(low),
                    "ua_high": _or_null(high),
                    "wa": pooled.accuracy,
                    "drop": unweighted_accuracy(clean) - unweighted_accuracy(answers),
                    "drop_low": _or_null(drop_low),
                    "drop_high": _or_null(drop_high),
                }
            )
    return dataframe_of(rows, ROBUSTNESS)


def _described(name: str, conditions: Mapping[str, Any]) -> tuple[str, float | None, str]:
    if name == CLEAN:
        return CLEAN, None, ""
    settings = conditions[name]
    return settings.kind, settings.level, settings.unit


def _place(name: str, conditions: Mapping[str, Any]) -> tuple[int, float, str]:
    """By kind, and from the mildest level to the hardest."""
    kind, level, unit = _described(name, conditions)
    hardness = (level or 0.0) * (-1 if unit == "dB" else 1)
    return KINDS.index(kind), hardness, name


def _or_null(value: float) -> float | None:
    return None if math.isnan(value) else value
