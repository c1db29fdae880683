"""Trains what is planned for a cell, and computes what a finished training predicts."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emoscale.models.contract import InputShape
from emoscale.models.registry import FITTING, build_model
from emoscale.runtime.progress import WorkProgress
from emoscale.training.cell_features import CellFeatures
from emoscale.training.engine import probabilities_of, run
from emoscale.training.trainer import Task, Trainer, Training, seed_of

Weights = dict[str, Tensor]
"""A model's state, or an estimator's arrays, on the CPU."""

_EXECUTION = "one after the other, packed frames"


@dataclass(frozen=True)
class Planned:
    """One training that is to be done."""

    identity: str
    """Digest of everything that decides its numbers."""

    task: Task
    model: Any
    """Its settings."""


@dataclass(frozen=True)
class Trained:
    """One finished training."""

    weights: Weights
    training: Training
    execution: str
    """How it was computed."""


def train_all(
    name: str,
    plan: Sequence[Planned],
    shapes: Sequence[InputShape],
    classes: int,
    features: CellFeatures,
) -> Iterator[tuple[str, Trained]]:
    """Every planned training by its identity, as soon as it ends; `name` is that of the progress.

    A network is trained by steps, and how many are taken is shown within a training too.
    """
    if not plan:
        return
    if plan[0].model.kind == "estimator":  # which a search cannot change
        with WorkProgress(name, len(plan), "fits") as progress:
            for planned in plan:
                yield planned.identity, _fitted(planned, shapes, classes, features)
                progress.advance(1)
        return
    steps = sum(planned.task.settings.maximum_steps for planned in plan)
    with WorkProgress(name, steps, "steps") as progress:
        for planned in plan:
            trainer = _trainer(planned, shapes, classes, features, progress)
            run(trainer)
            training = trainer.result()
            weights = {key: value.cpu() for key, value in trainer.model.state_dict().items()}
            yield planned.identity, Trained(weights, training, _EXECUTION)


def probabilities_from(
    model: Any,
    shapes: Sequence[InputShape],
    classes: int,
    weights: Weights,
    features: CellFeatures,
    indices: Tensor,
    precision: str,
) -> NDArray[np.float64]:
    """Class probabilities [utterances, classes] of the cell's utterances at `indices`.

    `model` are the settings that the weights were trained with.
    """
    if model.kind == "estimator":
        # scikit-learn takes longer to import than most of these take to predict.
        fitting = importlib.import_module(FITTING)
        return fitting.predict(model, shapes, classes, weights, features, indices)  # type: ignore[no-any-return]
    network = build_model(model, shapes, classes).to(features.device)
    network.load_state_dict(weights)
    return probabilities_of(network, features, indices, precision)


def _fitted(
    planned: Planned, shapes: Sequence[InputShape], classes: int, features: CellFeatures
) -> Trained:
    fitting = importlib.import_module(FITTING)  # imports scikit-learn, which takes long
    weights, training = fitting.fit(planned.task, planned.model, shapes, classes, features)
    return Trained(weights, training, "scikit-learn, a vector an utterance")


def _trainer(
    planned: Planned,
    shapes: Sequence[InputShape],
    classes: int,
    features: CellFeatures,
    progress: WorkProgress,
) -> Trainer:
    torch.manual_seed(seed_of(*planned.task.name, "weights"))
    model = build_model(planned.model, shapes, classes).to(features.device)
    for standardise, each in zip(model.standardisations(), features.inputs, strict=True):
        standardise.set_statistics(*each.statistics(planned.task.training))
    return Trainer(model, features, planned.task, progress)
