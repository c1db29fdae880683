"""One training: steps on the training subset, stopped by the development set."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emoscale.config.training import TrainingSettings
from emoscale.errors import UserError
from emoscale.evaluation.metrics import confusion_matrix, metrics_of
from emoscale.models.contract import Classifier
from emoscale.training.material import Material, class_weights
from emoscale.training.optimiser import AdamW
from emoscale.training.seeds import seed_of, stream

_EVALUATION_BATCH = 64


@dataclass(frozen=True)
class Training:
    """What came of one training; the model holds its best weights."""

    history: list[dict[str, float | int | bool]]
    """A row an evaluation: step, losses, development UA, whether it was the best so far."""

    steps: int
    """Steps taken."""

    best_step: int
    """Step of the weights that were kept."""

    stopped: str
    """patience, or budget."""

    seconds: float
    """Wall time."""


def train_model(
    model: Classifier,
    material: Material,
    training: Tensor,
    development: Tensor,
    labels: Tensor,
    settings: TrainingSettings,
    classes: int,
    name: tuple[int | str, ...],
) -> Training:
    """Train `model` on the utterances at `training`, choosing the step on those at `development`.

    `labels` holds the class number of each of the material's utterances, on its device.

    The kept weights are those of the highest development UA, of the lowest development loss among
    equals. `name` seeds the order of the utterances and the dropout: equal names give equal
    results on one machine type. Raises `UserError` where the loss is not finite.
    """
    began = time.perf_counter()
    order = stream(*name, "order")
    torch.manual_seed(seed_of(*name, "dropout"))
    if settings.class_weights == "balanced":
        weights = class_weights(labels[training.to(material.device)], classes)
    else:
        weights = torch.ones(classes, device=material.device)
    loss_of = nn.CrossEntropyLoss(weight=weights)
    optimiser = AdamW(model.parameters(), settings.learning_rate, settings.weight_decay)
    history: list[dict[str, float | int | bool]] = []
    best, best_step, best_weights = (-1.0, 0.0), 0, _copy_of(model)
    waited, step, stopped = 0, 0, "budget"
    losses: list[Tensor] = []
    queue = torch.empty(0, dtype=torch.int64)
    while step < settings.maximum_steps:
        model.train()
        if not len(queue):
            queue = training[torch.randperm(len(training), generator=order)]
        places, queue = queue[: settings.batch_utterances], queue[settings.batch_utterances :]
        truth = labels[places.to(material.device)]
        loss = torch.stack(
            [loss_of(logits, truth) for logits in model.training_logits(*material.batch(places))]
        ).sum()
        optimiser.clear_gradients()
        loss.backward()
        if settings.gradient_clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_clip)
        optimiser.step()
        losses.append(loss.detach())
        step += 1
        if step % settings.steps_between_evaluations and step < settings.maximum_steps:
            continue
        logits = logits_of(model, material, development)
        truth = labels[development.to(material.device)]
        development_loss = float(loss_of(logits, truth))
        confusion = confusion_matrix(
            truth.cpu().numpy(), logits.argmax(dim=1).cpu().numpy(), classes
        )
        score = metrics_of(confusion).unweighted_accuracy
        train_loss = float(torch.stack(losses).mean())
        if not (math.isfinite(development_loss) and math.isfinite(train_loss)):
            raise UserError(
                f"the training diverged before step {step} (loss {train_loss}); lower "
                f"training.learning_rate, which is {settings.learning_rate}"
            )
        better = (score, -development_loss) > best
        history.append(
            {
                "step": step,
                "train_loss": train_loss,
                "development_loss": development_loss,
                "development_ua": score,
                "best": better,
            }
        )
        losses = []
        if better:
            best, best_step, best_weights = (score, -development_loss), step, _copy_of(model)
            waited = 0
        else:
            waited += 1
            if waited >= settings.patience:
                stopped = "patience"
                break
    model.load_state_dict(best_weights)
    return Training(history, step, best_step, stopped, time.perf_counter() - began)


@torch.inference_mode()
def logits_of(model: Classifier, material: Material, places: Tensor) -> Tensor:
    """Logits [utterances, classes] of the utterances at `places`, in evaluation mode."""
    model.eval()
    return torch.cat(
        [model(*material.batch(part)) for part in torch.split(places, _EVALUATION_BATCH)]
    )


def probabilities_of(model: Classifier, material: Material, places: Tensor) -> NDArray[np.float64]:
    """Class probabilities [utterances, classes]."""
    logits = logits_of(model, material, places)
    return torch.softmax(logits.double(), dim=1).cpu().numpy()


def _copy_of(model: Classifier) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
