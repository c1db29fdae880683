"""One training: steps on the training subset, stopped by the development set."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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


class Trainer:
    """A training that can be stopped after any evaluation and go on elsewhere with equal numbers.

    The kept weights are those of the highest development UA, of the lowest development loss among
    equals. `name` seeds the order of the utterances and the dropout: equal names give equal results
    on one machine type. `labels` holds the class number of each of the material's utterances, on
    its device.
    """

    def __init__(
        self,
        model: Classifier,
        material: Material,
        training: Tensor,
        development: Tensor,
        labels: Tensor,
        settings: TrainingSettings,
        classes: int,
        name: tuple[int | str, ...],
    ) -> None:
        self._began = time.perf_counter()
        self._model, self._material, self._settings = model, material, settings
        self._training, self._development = training, development
        self._labels, self._classes = labels, classes
        self._order = stream(*name, "order")
        torch.manual_seed(seed_of(*name, "dropout"))
        weights = torch.ones(classes, device=material.device)
        if settings.class_weights == "balanced":
            weights = class_weights(labels[training.to(material.device)], classes)
        self._loss_of = nn.CrossEntropyLoss(weight=weights)
        self._optimiser = AdamW(model.parameters(), settings.learning_rate, settings.weight_decay)
        self._history: list[dict[str, float | int | bool]] = []
        self._best, self._best_step, self._best_weights = (-1.0, 0.0), 0, _copy_of(model)
        self._waited, self._step, self._stopped = 0, 0, ""
        self._queue = torch.empty(0, dtype=torch.int64)
        self._seconds_before = 0.0

    @property
    def finished(self) -> bool:
        """Whether patience or budget is used up."""
        return bool(self._stopped)

    def advance(self) -> None:
        """Steps until the next evaluation, and that; raises `UserError` where the loss diverges."""
        settings, losses = self._settings, []
        while True:
            losses.append(self._take_step())
            due = self._step % settings.steps_between_evaluations == 0
            if due or self._step == settings.maximum_steps:
                break
        self._evaluate(float(torch.stack(losses).mean()))
        if self._waited >= settings.patience:
            self._stopped = "patience"
        elif self._step >= settings.maximum_steps:
            self._stopped = "budget"

    def result(self) -> Training:
        """Put the kept weights into the model, and say how it went."""
        self._model.load_state_dict(self._best_weights)
        return Training(self._history, self._step, self._best_step, self._stopped, self._seconds())

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that the rest of the training depends on: tensors, and values for JSON."""
        tensors = {f"model.{name}": value for name, value in self._model.state_dict().items()}
        tensors |= {f"best.{name}": value for name, value in self._best_weights.items()}
        tensors |= {f"optimiser.{name}": value for name, value in self._optimiser.state().items()}
        tensors |= {"queue": self._queue, "order": self._order.get_state()}
        tensors["dropout"] = torch.get_rng_state()
        if self._material.device.type == "cuda":
            tensors["dropout_cuda"] = torch.cuda.get_rng_state(self._material.device)
        values = {
            "history": self._history,
            "best": self._best,
            "best_step": self._best_step,
            "waited": self._waited,
            "step": self._step,
            "stopped": self._stopped,
            "seconds": self._seconds(),
        }
        return {name: value.detach().cpu() for name, value in tensors.items()}, values

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Go on from a `state` of an equal training."""

        def part(prefix: str) -> dict[str, Tensor]:
            found = {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
            return {name: value.to(self._material.device) for name, value in found.items()}

        self._model.load_state_dict(part("model."))
        self._best_weights = part("best.")
        self._optimiser.restore(part("optimiser."))
        self._queue = tensors["queue"]
        self._order.set_state(tensors["order"])
        torch.set_rng_state(tensors["dropout"])
        if "dropout_cuda" in tensors:
            torch.cuda.set_rng_state(tensors["dropout_cuda"], self._material.device)
        self._history = list(values["history"])
        self._best, self._best_step = tuple(values["best"]), values["best_step"]
        self._waited, self._step, self._stopped = (
            values["waited"],
            values["step"],
            values["stopped"],
        )
        self._seconds_before = values["seconds"]

    def _take_step(self) -> Tensor:
        model, material, settings = self._model, self._material, self._settings
        model.train()
        if not len(self._queue):
            shuffled = torch.randperm(len(self._training), generator=self._order)
            self._queue = self._training[shuffled]
        count = settings.batch_utterances
        places, self._queue = self._queue[:count], self._queue[count:]
        truth = self._labels[places.to(material.device)]
        parts = model.training_logits(*material.batch(places))
        loss = torch.stack([self._loss_of(logits, truth) for logits in parts]).sum()
        self._optimiser.clear_gradients()
        loss.backward()
        if settings.gradient_clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), settings.gradient_clip)
        self._optimiser.step()
        self._step += 1
        return loss.detach()

    def _evaluate(self, train_loss: float) -> None:
        logits = logits_of(self._model, self._material, self._development)
        truth = self._labels[self._development.to(self._material.device)]
        loss = float(self._loss_of(logits, truth))
        if not (math.isfinite(loss) and math.isfinite(train_loss)):
            raise UserError(
                f"the training diverged before step {self._step} (loss {train_loss}); lower "
                f"training.learning_rate, which is {self._settings.learning_rate}"
            )
        confusion = confusion_matrix(
            truth.cpu().numpy(), logits.argmax(dim=1).cpu().numpy(), self._classes
        )
        score = metrics_of(confusion).unweighted_accuracy
        better = (score, -loss) > self._best
        self._history.append(
            {
                "step": self._step,
                "train_loss": train_loss,
                "development_loss": loss,
                "development_ua": score,
                "best": better,
            }
        )
        self._waited += 1
        if better:
            self._best, self._best_step, self._waited = (score, -loss), self._step, 0
            self._best_weights = _copy_of(self._model)

    def _seconds(self) -> float:
        return self._seconds_before + time.perf_counter() - self._began


def train_model(
    model: Classifier,
    material: Material,
    training: Tensor,
    development: Tensor,
    labels: Tensor,
    settings: TrainingSettings,
    classes: int,
    name: tuple[int | str, ...],
    after_evaluation: Callable[[Trainer], None] = lambda trainer: None,
) -> Training:
    """Train `model` on the utterances at `training` (see `Trainer`), from beginning to end."""
    trainer = Trainer(model, material, training, development, labels, settings, classes, name)
    while not trainer.finished:
        trainer.advance()
        after_evaluation(trainer)
    return trainer.result()


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
