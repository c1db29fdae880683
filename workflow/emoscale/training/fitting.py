"""Estimators of scikit-learn: fitted once, not trained by steps."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emoscale.models.contract import InputShape
from emoscale.models.estimator import Estimator, utterance_vectors
from emoscale.training.cell_features import CellFeatures
from emoscale.training.tasks import Weights
from emoscale.training.trainer import Task, Training, seed_of

_UTTERANCES_AT_ONCE = 64


def fit(
    task: Task, model: Any, shapes: Sequence[InputShape], classes: int, features: CellFeatures
) -> tuple[Weights, Training]:
    """The fitted arrays, and how it went: a row of history for each strength that was tried.

    Raises `UserError` where the subset has one class only, or strengths cannot be chosen between.
    """
    began = time.perf_counter()
    estimator = Estimator(model, shapes, classes)
    statistics = max(features.inputs[0].lengths) > 1
    labels = task.labels.cpu().numpy()
    tried = estimator.fit(
        vectors_of(features, task.training, statistics),
        labels[task.training],
        vectors_of(features, task.development, statistics),
        labels[task.development],
        task.settings.class_balance == "weights",
        seed_of(*task.name, "estimator"),
    )
    history: list[dict[str, Any]] = [
        {
            "step": number,
            "train_loss": None,
            "development_loss": None,
            "development_ua": score,
            "best": strength == tried.chosen,
        }
        for number, (strength, score) in enumerate(tried.scores.items(), start=1)
    ]
    arrays, _ = estimator.state()
    weights = {name: torch.from_numpy(array) for name, array in arrays.items()}
    best = 1 + list(tried.scores).index(tried.chosen)
    seconds = time.perf_counter() - began
    return weights, Training(history, len(history), best, "fitted", seconds)


def predict(
    model: Any,
    shapes: Sequence[InputShape],
    classes: int,
    weights: Weights,
    features: CellFeatures,
    indices: Tensor,
) -> NDArray[np.float64]:
    """Class probabilities [utterances, classes] by the arrays that `fit` gave."""
    arrays = {name: value.numpy() for name, value in weights.items()}
    state = {"settings": model.model_dump(mode="json"), "classes": classes}
    estimator = Estimator.from_state(arrays, state)
    statistics = len(arrays["mean"]) == 2 * shapes[0].dimension
    return estimator.probabilities(vectors_of(features, indices, statistics))


def vectors_of(features: CellFeatures, indices: Tensor, statistics: bool) -> NDArray[np.float64]:
    """[utterances, dimension (twice with `statistics`)] for an estimator."""
    if not len(indices):
        return np.empty((0, 0))
    return np.concatenate(
        [
            utterance_vectors(features.batch(part)[0], statistics)
            for part in torch.split(indices, _UTTERANCES_AT_ONCE)
        ]
    )
