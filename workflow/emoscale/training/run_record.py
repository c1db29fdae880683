"""What `run.json` says of the trainings of a cell."""

from __future__ import annotations

import resource
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any

import polars as pl

from emoscale.config.search import Trial
from emoscale.training.trainer import Training


def best_trial(trainings: Sequence[Training]) -> int:
    """Place of the training of the highest development UA, of the lowest loss among equals."""
    scores = [development_score(training) for training in trainings]
    key = [(ua or 0.0, -(loss or 0.0)) for ua, loss in scores]
    return key.index(max(key))


def development_score(training: Training) -> tuple[float | None, float | None]:
    """UA and loss of the kept weights; None without a development set."""
    kept = [row for row in training.history if row["best"]][-1]
    return kept["development_ua"], kept["development_loss"]


def trial_row(trial: Trial, training: Training) -> dict[str, Any]:
    """One point of the searched grid, and what came of it."""
    ua, loss = development_score(training)
    return {
        "trial": trial.number,
        "choices": trial.choices,
        "development_ua": ua,
        "development_loss": loss,
        "steps": training.steps,
        "best_step": training.best_step,
        "seconds": training.seconds,
    }


def run_row(
    repeat: int,
    keys: list[str],
    fold: pl.DataFrame,
    told: dict[str, str],
    classes: list[str],
    training: Training,
) -> dict[str, Any]:
    """One repeat: what it learned from (utterances `keys` under the classes `told`), and how."""
    chosen = fold.filter(pl.col("utterance").is_in(keys))
    counts = Counter(told[key] for key in keys)
    return {
        "repeat": repeat,
        "training_utterances": len(keys),
        "training_counts": {name: counts[name] for name in classes},
        "training_speakers": chosen["speaker"].n_unique(),
        "steps": training.steps,
        "best_step": training.best_step,
        "best_development_ua": development_score(training)[0],
        "stopped": training.stopped,
        "seconds": training.seconds,
        "taken_up_at_step": training.taken_up_at_step,
    }


def peak_memory_megabytes() -> float:
    """Of this process, until now."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 if sys.platform != "darwin" else 1024**2)
