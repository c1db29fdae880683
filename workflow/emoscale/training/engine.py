"""Takes the steps of trainings: of one, or of several side by side in each pass.

On a CPU models are trained one after the other, because products of packed frames fill a core as
they are; on a GPU all repeats of a cell go side by side, where their kind can
(`emoscale.training.side_by_side`). The numbers are the same up to rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emoscale.models.contract import Classifier
from emoscale.training.material import Material
from emoscale.training.optimiser import clip_gradients, update
from emoscale.training.side_by_side import ModelsSideBySide
from emoscale.training.trainer import Trainer

_EVALUATION_BATCH = 64


def advance(trainers: Sequence[Trainer]) -> None:
    """Steps of all until their next evaluation, and that; they must be equally far.

    Raises `UserError` where a loss diverges.
    """
    models = ModelsSideBySide([trainer.model for trainer in trainers])
    while True:
        _take_step(trainers, models)
        if trainers[0].evaluation_is_due:
            break
    models.train(False)
    _evaluate(trainers, models)


def run(trainers: Sequence[Trainer]) -> Iterator[None]:
    """Train all to their ends; yields after each evaluation. Who is done is left out."""
    running = [trainer for trainer in trainers if not trainer.finished]
    while running:
        advance(running)
        running = [trainer for trainer in running if not trainer.finished]
        yield


def logits_of(
    model: Classifier, material: Material, places: Tensor, precision: str = "float32"
) -> Tensor:
    """Logits [utterances, classes] of the utterances at `places`, in evaluation mode."""
    model.eval()
    logits = []
    with torch.inference_mode():
        for part in torch.split(places, _EVALUATION_BATCH):
            batch = material.batch(part)  # not in that precision: it would refuse float16 frames
            with _precision(material, precision):
                logits.append(model(*batch).float())
    return torch.cat(logits)


def probabilities_of(
    model: Classifier, material: Material, places: Tensor, precision: str = "float32"
) -> NDArray[np.float64]:
    """Class probabilities [utterances, classes]."""
    logits = logits_of(model, material, places, precision)
    return torch.softmax(logits.double(), dim=1).cpu().numpy()


def _take_step(trainers: Sequence[Trainer], models: ModelsSideBySide) -> None:
    material, settings = trainers[0].material, trainers[0].task.settings
    models.train(True)
    batches = [trainer.next_batch() for trainer in trainers]
    with _precision(material, settings.precision):
        parts = models.training_logits([inputs for inputs, _ in batches])
    losses = [
        trainer.loss_of(own, targets)
        for trainer, own, (_, targets) in zip(trainers, parts, batches, strict=True)
    ]
    optimisers = [trainer.optimiser for trainer in trainers]
    for optimiser in optimisers:
        optimiser.clear_gradients()
    total: Any = torch.stack(losses).sum()
    total.backward()
    if settings.gradient_clip is not None:
        for optimiser in optimisers:
            clip_gradients(optimiser.parameters, settings.gradient_clip)
    update(optimisers)
    for trainer, loss in zip(trainers, losses, strict=True):
        trainer.stepped(loss)


def _evaluate(trainers: Sequence[Trainer], models: ModelsSideBySide) -> None:
    material, settings = trainers[0].material, trainers[0].task.settings
    development = trainers[0].task.development
    logits: list[list[Tensor]] = [[] for _ in trainers]
    with torch.inference_mode():
        for places in torch.split(development, _EVALUATION_BATCH) if len(development) else ():
            batch = trainers[0].batch(places) if len(trainers) == 1 else material.batch(places)
            with _precision(material, settings.precision):
                parts = models.logits([batch] * len(trainers))
            for own, new in zip(logits, parts, strict=True):
                own.append(new.float())
    for trainer, own in zip(trainers, logits, strict=True):
        trainer.evaluated(torch.cat(own) if own else torch.empty(0))


def _precision(material: Material, precision: str) -> AbstractContextManager[None]:
    """Products in that type; what autocast keeps in float32 stays there."""
    context: AbstractContextManager[None] = torch.autocast(
        material.device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"
    )
    return context
