"""Training loop of networks (steps and evaluations), and their logits and probabilities."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emoscale.models.contract import Classifier
from emoscale.training.cell_features import CellFeatures
from emoscale.training.trainer import Trainer

_EVALUATION_BATCH = 64


def train(trainer: Trainer) -> None:
    """Train until early stopping or the maximum number of steps.

    Parameters
    ----------
    trainer : Trainer
        State of the training.

    Raises
    ------
    UserError
        Where the loss is not finite.
    """
    while not trainer.finished:
        train_until_evaluation(trainer)


def train_until_evaluation(trainer: Trainer) -> None:
    """Take the steps up to the next evaluation, and evaluate.

    Parameters
    ----------
    trainer : Trainer
        State of the training.

    Raises
    ------
    UserError
        Where the loss is not finite.
    """
    _training_step(trainer)
    while not trainer.evaluation_due:
        _training_step(trainer)
    _evaluate(trainer)


def logits_of(
    model: Classifier, features: CellFeatures, indices: Tensor, precision: str = "float32"
) -> Tensor:
    """Compute logits in evaluation mode.

    Parameters
    ----------
    model : Classifier
        The network.
    features : CellFeatures
        Features of the cell's utterances.
    indices : Tensor
        Indices ``[utterances]`` of the utterances to predict.
    precision : str
        Type of matrix products: float32 or bfloat16.

    Returns
    -------
    Tensor
        Logits ``[utterances, classes]``, float32.
    """
    model.eval()
    logits = []
    with torch.inference_mode():
        for batch_indices in torch.split(indices, _EVALUATION_BATCH):
            batch = features.batch(batch_indices)  # outside autocast, which refuses float16 frames
            with _autocast(features, precision):
                logits.append(model(*batch).float())
    return torch.cat(logits)


def probabilities_of(
    model: Classifier, features: CellFeatures, indices: Tensor, precision: str = "float32"
) -> NDArray[np.float64]:
    """Compute class probabilities in evaluation mode.

    Parameters
    ----------
    model : Classifier
        The network.
    features : CellFeatures
        Features of the cell's utterances.
    indices : Tensor
        Indices ``[utterances]`` of the utterances to predict.
    precision : str
        Type of matrix products: float32 or bfloat16.

    Returns
    -------
    ndarray
        Probabilities ``[utterances, classes]``.
    """
    logits = logits_of(model, features, indices, precision)
    return torch.softmax(logits.double(), dim=1).cpu().numpy()


def _training_step(trainer: Trainer) -> None:
    settings, model, optimiser = trainer.task.settings, trainer.model.train(), trainer.optimiser
    inputs, targets = trainer.next_batch()
    with _autocast(trainer.features, settings.precision):
        branch_logits = model.training_logits(*inputs)
    loss: Any = trainer.compute_loss(branch_logits, targets)
    optimiser.zero_grad()
    loss.backward()
    if settings.gradient_clip is not None:
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_clip)
    optimiser.step()
    trainer.record_step(loss)


def _evaluate(trainer: Trainer) -> None:
    model, development = trainer.model.eval(), trainer.task.development
    logits = []
    with torch.inference_mode():
        for indices in torch.split(development, _EVALUATION_BATCH) if len(development) else ():
            batch = trainer.features.batch(indices)
            with _autocast(trainer.features, trainer.task.settings.precision):
                logits.append(model(*batch).float())
    trainer.record_evaluation(torch.cat(logits) if logits else torch.empty(0))


def _autocast(features: CellFeatures, precision: str) -> AbstractContextManager[None]:
    context: AbstractContextManager[None] = torch.autocast(
        features.device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"
    )
    return context
