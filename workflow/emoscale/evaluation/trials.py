"""The table of trials: what a search tried, and what came of it on the development set."""

from __future__ import annotations

import pyarrow as pa

from emoscale.runtime.provenance import canonical_json
from emoscale.tables.schemas import schema_field
from emoscale.training.run_record import RepeatRecord, RunRecord

TRIALS = pa.schema(
    [
        schema_field("experiment", pa.string(), "representation and model, by the study's name"),
        schema_field("fold", pa.string(), "which part of the corpus is tested"),
        schema_field("size", pa.string(), "training size as asked for"),
        schema_field("repeat", pa.int32(), "training order and initialisation"),
        schema_field("trial", pa.int32(), "point of the searched grid, from 0"),
        schema_field("choices", pa.string(), "its searched settings, canonical JSON"),
        schema_field("chosen", pa.bool_(), "whether predictions and weights are this trial's"),
        schema_field(
            "development_ua",
            pa.float64(),
            "unweighted accuracy of its kept weights, 0 to 1; null: no development set",
            null=True,
        ),
        schema_field(
            "development_loss",
            pa.float64(),
            "weighted cross-entropy of its kept weights, nats; null: an estimator, or no such set",
            null=True,
        ),
        schema_field("steps", pa.int32(), "optimiser steps, or strengths tried by an estimator"),
        schema_field("best_step", pa.int32(), "which of them is kept, from 1; 0: the beginning"),
        schema_field(
            "seconds",
            pa.float64(),
            "wall time",
            measured=True,
        ),
    ]
)
"""A row an experiment, fold, size, repeat and trial, where the experiment searches."""


def trial_rows(run: RunRecord, repeat: RepeatRecord) -> list[dict[str, object]]:
    """The trials of one repeat of a cell; none where nothing was searched."""
    return [
        {
            "experiment": run.experiment,
            "fold": run.fold,
            "size": run.size,
            "repeat": repeat.repeat,
            "trial": number,
            "choices": canonical_json(trial.choices),
            "chosen": number == repeat.chosen_trial,
            "development_ua": trial.development_ua,
            "development_loss": trial.development_loss,
            "steps": trial.steps,
            "best_step": trial.best_step,
            "seconds": trial.seconds,
        }
        for number, trial in enumerate(repeat.trials)
        if trial.choices
    ]
