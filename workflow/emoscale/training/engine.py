"""Takes the steps of a training, and computes what a model says of utterances."""

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


def run(trainer: Trainer) -> None:
    """Train to the end; raises `UserError` where the loss diverges."""
    while not trainer.finished:
        advance(trainer)


def advance(trainer: Trainer) -> None:
    """Steps until the next evaluation, and that."""
    _take_step(trainer)
    while not trainer.evaluation_is_due:
        _take_step(trainer)
    _evaluate(trainer)


def logits_of(
    model: Classifier, features: CellFeatures, indices: Tensor, precision: str = "float32"
) -> Tensor:
    """Logits [utterances, classes] of the utterances at `indices`, in evaluation mode."""
    model.eval()
    logits = []
    with torch.inference_mode():
        for part in torch.split(indices, _EVALUATION_BATCH):
            batch = features.batch(part)  # not in that precision: it would refuse float16 frames
            with _precision(features, precision):
                logits.append(model(*batch).float())
    return torch.cat(logits)


def probabilities_of(
    model: Classifier, features: CellFeatures, indices: Tensor, precision: str = "float32"
) -> NDArray[np.float64]:
    """Class probabilities [utterances, classes]."""
    logits = logits_of(model, features, indices, precision)
    return torch.softmax(logits.double(), dim=1).cpu().numpy()


def _take_step(trainer: Trainer) -> None:
    settings, model, optimiser = trainer.task.settings, trainer.model.train(), trainer.optimiser
    inputs, targets = trainer.next_batch()
    with _precision(trainer.features, settings.precision):
        parts = model.training_logits(*inputs)
    loss: Any = trainer.loss_of(parts, targets)
    optimiser.zero_grad()
    loss.backward()
    if settings.gradient_clip is not None:
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_clip)
    optimiser.step()
    trainer.stepped(loss)


def _evaluate(trainer: Trainer) -> None:
    model, development = trainer.model.eval(), trainer.task.development
    logits = []
    with torch.inference_mode():
        for indices in torch.split(development, _EVALUATION_BATCH) if len(development) else ():
            batch = trainer.features.batch(indices)
            with _precision(trainer.features, trainer.task.settings.precision):
                logits.append(model(*batch).float())
    trainer.evaluated(torch.cat(logits) if logits else torch.empty(0))


def _precision(features: CellFeatures, precision: str) -> AbstractContextManager[None]:
    """Products in that type; what autocast keeps in float32 stays there."""
    context: AbstractContextManager[None] = torch.autocast(
        features.device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"
    )
    return context
