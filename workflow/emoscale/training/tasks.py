"""Execution of the planned trainings of a cell, and predictions from trained weights."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emoscale.models.contract import InputShape
from emoscale.models.registry import FITTING, build_model
from emoscale.runtime.errors import error_summary
from emoscale.runtime.memory import is_out_of_memory
from emoscale.runtime.progress import WorkProgress
from emoscale.training.cell_features import CellFeatures
from emoscale.training.engine import probabilities_of, train
from emoscale.training.trainer import Trainer, TrainingResult, TrainingTask, seed_of

Weights = dict[str, Tensor]
"""State dict of a network, or arrays of an estimator, on the CPU."""

_NETWORK_EXECUTION = "sequential, packed frames"
_FROM_MAIN_MEMORY = ", features in main memory"
_ESTIMATOR_EXECUTION = "scikit-learn, one vector per utterance"


@dataclass(frozen=True)
class PlannedTraining:
    """A training that is not finished yet."""

    identity: str
    """Digest of everything that determines its numbers."""

    task: TrainingTask
    model: Any
    """Settings of the model."""


@dataclass(frozen=True)
class TrainedModel:
    """Weights of a finished training, and its result."""

    weights: Weights
    result: TrainingResult
    execution: str
    """How it was computed, as a phrase for the run record."""


def train_all(
    name: str,
    plan: Sequence[PlannedTraining],
    shapes: Sequence[InputShape],
    classes: int,
    features: CellFeatures,
) -> Iterator[tuple[str, TrainedModel]]:
    """Compute all planned trainings, and show their progress.

    Parameters
    ----------
    name : str
        Name of the progress display.
    plan : sequence of PlannedTraining
        The trainings, all of the same kind of model.
    shapes : sequence of InputShape
        Shape of each input of the model.
    classes : int
        Number of classes.
    features : CellFeatures
        Features of the cell's utterances.

    Yields
    ------
    identity : str
        Digest of the training.
    trained : TrainedModel
        Its result, as soon as it is finished.
    """
    if not plan:
        return
    if plan[0].model.kind == "estimator":  # a search cannot change the kind
        with WorkProgress(name, len(plan), "fits") as progress:
            for planned in plan:
                yield planned.identity, _fit_estimator(planned, shapes, classes, features)
                progress.advance(1)
        return
    steps = sum(planned.task.settings.maximum_steps for planned in plan)
    with WorkProgress(name, steps, "steps") as progress:
        for planned in plan:
            yield planned.identity, _train_network(planned, shapes, classes, features, progress)


def predict_from_weights(
    model: Any,
    shapes: Sequence[InputShape],
    classes: int,
    weights: Weights,
    features: CellFeatures,
    indices: Tensor,
    precision: str,
) -> NDArray[np.float64]:
    """Compute class probabilities by a network or estimator with trained weights.

    Parameters
    ----------
    model : ModelSettings
        Settings of the model that the weights belong to.
    shapes : sequence of InputShape
        Shape of each input of the model.
    classes : int
        Number of classes.
    weights : dict of str to Tensor
        Trained weights.
    features : CellFeatures
        Features of the cell's utterances.
    indices : Tensor
        Indices ``[utterances]`` of the utterances to predict.
    precision : str
        Type of a network's matrix products: float32 or bfloat16.

    Returns
    -------
    ndarray
        Probabilities ``[utterances, classes]``.
    """
    if model.kind == "estimator":
        # Importing scikit-learn takes longer than most networks take to predict.
        fitting = importlib.import_module(FITTING)
        return fitting.predict(model, shapes, classes, weights, features, indices)  # type: ignore[no-any-return]
    network = build_model(model, shapes, classes).to(features.device)
    network.load_state_dict(weights)
    return probabilities_of(network, features, indices, precision)


def _fit_estimator(
    planned: PlannedTraining, shapes: Sequence[InputShape], classes: int, features: CellFeatures
) -> TrainedModel:
    fitting = importlib.import_module(FITTING)  # imports scikit-learn, which is slow
    weights, result = fitting.fit(planned.task, planned.model, shapes, classes, features)
    return TrainedModel(weights, result, _ESTIMATOR_EXECUTION)


def _train_network(
    planned: PlannedTraining,
    shapes: Sequence[InputShape],
    classes: int,
    features: CellFeatures,
    progress: WorkProgress,
) -> TrainedModel:
    """Train a network; if the GPU's memory runs out, again with features in main memory."""
    completed = progress.completed
    try:
        return _train_once(planned, shapes, classes, features, progress)
    except RuntimeError as error:
        if not (features.resident and is_out_of_memory(error)):
            raise
        reason = error_summary(error)
    # Only after the except block are the tensors of the error's traceback released.
    features.release()
    progress.advance(completed - progress.completed)
    print(
        f"{progress.description}: the GPU's memory ran out ({reason}); the training starts again "
        "with features in main memory (the results do not change)",
        file=sys.stderr,
        flush=True,
    )
    return _train_once(planned, shapes, classes, features, progress)


def _train_once(
    planned: PlannedTraining,
    shapes: Sequence[InputShape],
    classes: int,
    features: CellFeatures,
    progress: WorkProgress,
) -> TrainedModel:
    trainer = _build_trainer(planned, shapes, classes, features, progress)
    train(trainer)
    result = trainer.result()
    weights = {key: value.cpu() for key, value in trainer.model.state_dict().items()}
    from_main_memory = features.device.type != "cpu" and not features.resident
    execution = _NETWORK_EXECUTION + (_FROM_MAIN_MEMORY if from_main_memory else "")
    return TrainedModel(weights, result, execution)


def _build_trainer(
    planned: PlannedTraining,
    shapes: Sequence[InputShape],
    classes: int,
    features: CellFeatures,
    progress: WorkProgress,
) -> Trainer:
    torch.manual_seed(seed_of(*planned.task.seed_key, "weights"))
    model = build_model(planned.model, shapes, classes).to(features.device)
    for standardise, inputs in zip(model.standardisations(), features.inputs, strict=True):
        statistics = inputs.statistics(planned.task.training)
        standardise.set_statistics(*statistics, planned.task.settings.feature_clip)
    return Trainer(model, features, planned.task, progress)
