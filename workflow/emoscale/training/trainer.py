"""One training: what it learns from, how far it is, and what it keeps."""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from emoscale.config.training import TrainingSettings
from emoscale.models.contract import Classifier, PackedFrames
from emoscale.models.layers import draw_dropout_from
from emoscale.runtime.errors import UserError
from emoscale.runtime.progress import WorkProgress
from emoscale.training.augmentation import augmented
from emoscale.training.cell_features import CellFeatures
from emoscale.training.metrics import confusion_matrix, metrics_of
from emoscale.training.order import Order
from emoscale.training.targets import loss_for, smoothed


@dataclass(frozen=True)
class Task:
    """What one training learns, is chosen on, and is called."""

    name: tuple[int | str, ...]
    """Seeds weights, order, dropout and augmentation: equal names give equal results."""

    training: Tensor
    """[utterances] indices in the cell."""

    development: Tensor
    """[utterances] indices; none where the schedule is fixed and the protocol has no such set."""

    labels: Tensor
    """[all utterances of the cell] class numbers, on its device."""

    targets: Tensor
    """[all utterances of the cell, classes] shares of the classes, on its device."""

    settings: TrainingSettings


@dataclass(frozen=True)
class Training:
    """What came of one training; the model holds its kept weights."""

    history: list[dict[str, Any]]
    """A row an evaluation: step, losses, development UA, whether it was the best so far."""

    steps: int
    """Steps taken."""

    best_step: int
    """Step of the weights that were kept."""

    stop_reason: str
    """patience, or budget."""

    seconds: float
    """Wall time."""

    @property
    def development_score(self) -> tuple[float | None, float | None]:
        """UA and loss of the kept weights; None without a development set."""
        kept = [row for row in self.history if row["best"]][-1]
        return kept["development_ua"], kept["development_loss"]


def seed_of(*parts: int | str) -> int:
    """A seed below 2^63 from the names of what it is for, never from what was drawn before.

    >>> seed_of(1, "fold1", "all", 0, "order") == seed_of(1, "fold1", "all", 0, "order")
    True
    """
    text = "\x1f".join(map(str, parts))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def stream(*parts: int | str) -> torch.Generator:
    """A CPU generator seeded by `seed_of`."""
    return torch.Generator().manual_seed(seed_of(*parts))


class Trainer:
    """A training under way: draws batches, weighs losses, and decides when it is over.

    The kept weights are those of the highest development UA, of the lowest development loss among
    equals; with a fixed schedule the last. It does not compute: see `emoscale.training.engine`.
    """

    def __init__(
        self,
        model: Classifier,
        features: CellFeatures,
        task: Task,
        progress: WorkProgress | None = None,
    ) -> None:
        """`progress` counts steps, of which this training takes `maximum_steps` at most."""
        self._progress = progress
        self._began = time.perf_counter()
        self.model, self.features, self.task = model, features, task
        settings, device = task.settings, features.device
        self.optimiser = torch.optim.AdamW(
            model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        own = task.training.to(device)
        self._loss = loss_for(task.targets[own], settings)
        sampled = task.labels[own].cpu() if settings.class_balance == "sampling" else None
        self._order = Order(task.training, stream(*task.name, "order"), sampled)
        self._augmentation = stream(*task.name, "augmentation")
        dropout = torch.Generator(device).manual_seed(seed_of(*task.name, "dropout"))
        draw_dropout_from(model, dropout)
        self._history: list[dict[str, Any]] = []
        self._best, self._best_step, self._best_weights = (-1.0, 0.0), 0, _copy_of(model)
        self._waited, self._step, self._stopped = 0, 0, ""
        self._losses: list[Tensor] = []

    @property
    def finished(self) -> bool:
        """Whether patience or budget is used up."""
        return bool(self._stopped)

    @property
    def evaluation_is_due(self) -> bool:
        """Whether the development set is to be looked at before the next step."""
        settings = self.task.settings
        return self._step % settings.steps_between_evaluations == 0 or (
            self._step == settings.maximum_steps
        )

    def next_batch(self) -> tuple[list[PackedFrames], Tensor]:
        """The next step's utterances of each input, and their targets [utterances, classes]."""
        settings = self.task.settings
        indices = self._order.next(settings.batch_size)
        inputs = self.features.batch(indices)
        targets = smoothed(
            self.task.targets[indices.to(self.features.device)], settings.label_smoothing
        )
        if settings.augmentation.is_on():
            means = [standardise.mean for standardise in self.model.standardisations()]
            inputs, targets = augmented(
                inputs, targets, settings.augmentation, means, self._augmentation
            )
        return inputs, targets

    def loss_of(self, parts: list[Tensor], targets: Tensor) -> Tensor:
        """What a step's logits [utterances, classes] (several where parts learn apart) cost."""
        return torch.stack([self._loss(logits, targets) for logits in parts]).sum()

    def stepped(self, loss: Tensor) -> None:
        """A step was taken; `loss` is remembered."""
        self._losses.append(loss.detach())
        self._step += 1
        if self._progress is not None:
            self._progress.advance(1)

    def evaluated(self, logits: Tensor) -> None:
        """Take the development set's logits [utterances, classes], and decide how to go on.

        Raises `UserError` where the loss is not finite any more.
        """
        settings = self.task.settings
        train_loss = float(torch.stack(self._losses).mean())
        self._losses = []
        row: dict[str, Any] = {
            "step": self._step,
            "train_loss": train_loss,
            "development_loss": None,
            "development_ua": None,
        }
        score = (0.0, 0.0)
        if len(logits):
            row["development_loss"], row["development_ua"] = self._development_score(logits)
            score = (row["development_ua"], -row["development_loss"])
        if not (math.isfinite(train_loss) and math.isfinite(score[1])):
            raise UserError(
                f"the training diverged before step {self._step} (loss {train_loss}); lower "
                f"training.learning_rate, which is {settings.learning_rate}"
            )
        better = not settings.early_stopping or score > self._best
        self._history.append({**row, "best": better})
        self._waited += 1
        if better:
            self._best, self._best_step, self._waited = score, self._step, 0
            self._best_weights = _copy_of(self.model)
        if self._waited >= settings.patience:
            self._stopped = "patience"
            if self._progress is not None:
                self._progress.spare(settings.maximum_steps - self._step)
        elif self._step >= settings.maximum_steps:
            self._stopped = "budget"

    def _development_score(self, logits: Tensor) -> tuple[float, float]:
        """Loss and unweighted accuracy."""
        indices = self.task.development.to(self.features.device)
        loss = float(self._loss(logits, self.task.targets[indices]))
        truth, predicted = self.task.labels[indices], logits.argmax(dim=1)
        confusion = confusion_matrix(truth.cpu().numpy(), predicted.cpu().numpy(), logits.shape[1])
        return loss, metrics_of(confusion).unweighted_accuracy

    def result(self) -> Training:
        """Put the kept weights into the model, and say how it went; no step can follow."""
        self.model.load_state_dict(self._best_weights)
        return Training(
            self._history,
            self._step,
            self._best_step,
            self._stopped,
            time.perf_counter() - self._began,
        )


def _copy_of(model: Classifier) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
