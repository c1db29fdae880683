"""Fitting of scikit-learn estimators on one vector per utterance, and their predictions."""

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
from emoscale.training.trainer import TrainingResult, TrainingTask, seed_of

_BATCH_SIZE = 64


def fit(
    task: TrainingTask,
    model: Any,
    shapes: Sequence[InputShape],
    classes: int,
    features: CellFeatures,
) -> tuple[Weights, TrainingResult]:
    """Fit an estimator for each inverse regularisation C and select the best.

    Parameters
    ----------
    task : TrainingTask
        Training and development utterances, labels and settings.
    model : EstimatorSettings
        Settings of the estimator.
    shapes : sequence of InputShape
        Shape of the only input.
    classes : int
        Number of classes.
    features : CellFeatures
        Features of the cell's utterances.

    Returns
    -------
    weights : dict of str to Tensor
        Arrays of the fitted estimator.
    result : TrainingResult
        Its history has one row per value of C.

    Raises
    ------
    UserError
        Where all training utterances are of one class, or where there are several values of C and
        no development set.
    """
    start = time.perf_counter()
    estimator = Estimator(model, shapes, classes)
    statistics = max(features.inputs[0].lengths) > 1
    labels = task.labels.cpu().numpy()
    search = estimator.fit(
        vectors_of(features, task.training, statistics),
        labels[task.training],
        vectors_of(features, task.development, statistics),
        labels[task.development],
        task.settings.class_balance == "weights",
        seed_of(*task.seed_key, "estimator"),
        task.settings.feature_clip,
    )
    history: list[dict[str, Any]] = [
        {
            "step": number,
            "train_loss": None,
            "development_loss": None,
            "development_ua": score,
            "best": search.best_C == C,
        }
        for number, (C, score) in enumerate(search.development_ua.items(), start=1)
    ]
    arrays, _ = estimator.state()
    weights = {name: torch.from_numpy(array) for name, array in arrays.items()}
    best_step = 1 + list(search.development_ua).index(search.best_C)
    seconds = time.perf_counter() - start
    return weights, TrainingResult(history, len(history), best_step, "fitted", seconds)


def predict(
    model: Any,
    shapes: Sequence[InputShape],
    classes: int,
    weights: Weights,
    features: CellFeatures,
    indices: Tensor,
) -> NDArray[np.float64]:
    """Compute class probabilities by a fitted estimator.

    Parameters
    ----------
    model : EstimatorSettings
        Settings of the estimator.
    shapes : sequence of InputShape
        Shape of the only input.
    classes : int
        Number of classes.
    weights : dict of str to Tensor
        Arrays that `fit` returned.
    features : CellFeatures
        Features of the cell's utterances.
    indices : Tensor
        Indices ``[utterances]`` of the utterances to predict.

    Returns
    -------
    ndarray
        Probabilities ``[utterances, classes]``.
    """
    arrays = {name: value.numpy() for name, value in weights.items()}
    state = {"settings": model.model_dump(mode="json"), "classes": classes}
    estimator = Estimator.from_state(arrays, state)
    statistics = len(arrays["mean"]) == 2 * shapes[0].dimension
    return estimator.probabilities(vectors_of(features, indices, statistics))


def vectors_of(features: CellFeatures, indices: Tensor, statistics: bool) -> NDArray[np.float64]:
    """Return one vector per utterance, as the input of an estimator.

    Parameters
    ----------
    features : CellFeatures
        Features of the cell's utterances.
    indices : Tensor
        Indices ``[utterances]``.
    statistics : bool
        Whether the vector is mean and standard deviation over frames, or the only frame.

    Returns
    -------
    ndarray
        Vectors ``[utterances, dimension]``, or ``[utterances, 2 * dimension]`` with `statistics`.
    """
    if not len(indices):
        return np.empty((0, 0))
    return np.concatenate(
        [
            utterance_vectors(features.batch(batch_indices)[0], statistics)
            for batch_indices in torch.split(indices, _BATCH_SIZE)
        ]
    )
