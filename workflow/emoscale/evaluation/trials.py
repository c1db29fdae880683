"""The table of trials: the points of a hyperparameter search and their development scores."""

from __future__ import annotations

import pyarrow as pa

from emoscale.runtime.provenance import canonical_json
from emoscale.tables.schemas import schema_field
from emoscale.training.run_record import RepeatRecord, RunRecord

TRIALS = pa.schema(
    [
        schema_field("experiment", pa.string(), "name of the experiment (representation, model)"),
        schema_field("fold", pa.string(), "cross-validation fold"),
        schema_field("size", pa.string(), "training size, as in the study"),
        schema_field("repeat", pa.int32(), "repeat (training order and seed), from 0"),
        schema_field("trial", pa.int32(), "trial (point of the search grid), from 0"),
        schema_field("choices", pa.string(), "searched settings of the trial, canonical JSON"),
        schema_field(
            "chosen", pa.bool_(), "whether the cell's predictions and weights are this trial's"
        ),
        schema_field(
            "development_ua",
            pa.float64(),
            "development UA (unweighted accuracy) of the selected weights, 0 to 1; null: no "
            "development set",
            null=True,
        ),
        schema_field(
            "development_loss",
            pa.float64(),
            "development loss (class-weighted cross-entropy) of the selected weights, nats; null: "
            "an estimator, or no development set",
            null=True,
        ),
        schema_field(
            "steps", pa.int32(), "optimiser steps; estimator: number of evaluated values of C"
        ),
        schema_field(
            "best_step",
            pa.int32(),
            "optimiser step of the selected weights, 0: initial weights; estimator: number of the "
            "selected C, from 1",
        ),
        schema_field(
            "seconds",
            pa.float64(),
            "wall time of the trial, seconds",
            measured=True,
        ),
    ]
)
"""One row per experiment, fold, size, repeat and trial, for experiments with a search."""


def trial_rows(run: RunRecord, repeat: RepeatRecord) -> list[dict[str, object]]:
    """Return the trials of one repeat of a cell.

    Parameters
    ----------
    run : RunRecord
        The record of the run.
    repeat : RepeatRecord
        One of its repeats.

    Returns
    -------
    list of dict
        Rows of `TRIALS`; empty without a search.
    """
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
