"""The table of trials: what a search tried, and what came of it on the development set."""

from __future__ import annotations

import pyarrow as pa

from emoscale.runtime.provenance import canonical_json
from emoscale.tables.schemas import described
from emoscale.training.run_record import RepeatRecord, RunRecord

TRIALS = pa.schema(
    [
        described("experiment", pa.string(), "representation and model, by the study's name"),
        described("fold", pa.string(), "which part of the corpus is tested"),
        described("size", pa.string(), "training size as asked for"),
        described("repeat", pa.int32(), "training order and initialisation"),
        described("trial", pa.int32(), "point of the searched grid, from 0"),
        described("choices", pa.string(), "its searched settings, canonical JSON"),
        described("chosen", pa.bool_(), "whether predictions and weights are this trial's"),
        described(
            "development_ua",
            pa.float64(),
            "unweighted accuracy of its kept weights, 0 to 1; null: no development set",
            null=True,
        ),
        described(
            "development_loss",
            pa.float64(),
            "weighted cross-entropy of its kept weights, nats; null: an estimator, or no such set",
            null=True,
        ),
        described("steps", pa.int32(), "optimiser steps, or strengths tried by an estimator"),
        described("best_step", pa.int32(), "which of them is kept, from 1; 0: the beginning"),
        described(
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
