"""State of one training: batches, loss, evaluations, early stopping and the best weights."""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from emoscale.models.contract import Classifier, PackedFrames
from emoscale.models.layers import set_dropout_generator
from emoscale.models.packed_layout import send
from emoscale.runtime.errors import UserError
from emoscale.runtime.progress import WorkProgress
from emoscale.training.augmentation import augment
from emoscale.training.batch_sampler import BatchSampler
from emoscale.training.cell_features import CellFeatures
from emoscale.training.metrics import confusion_matrix, metrics_of
from emoscale.training.targets import build_loss, smooth_labels

if TYPE_CHECKING:
    from emoscale.config.training import TrainingSettings


@dataclass(frozen=True)
class TrainingTask:
    """Data, settings and seed of one training."""

    seed_key: tuple[int | str, ...]
    """Seeds weights, order, dropout and augmentation: equal keys give equal results."""

    training: Tensor
    """Indices ``[utterances]`` of the training subset in the cell."""

    development: Tensor
    """Indices ``[utterances]`` of the development set; empty where the protocol has none."""

    labels: Tensor
    """Class indices ``[all utterances of the cell]``, on the device."""

    targets: Tensor
    """Target distributions ``[all utterances of the cell, classes]``, on the device."""

    settings: TrainingSettings


@dataclass(frozen=True)
class TrainingResult:
    """History and selected step of a finished training."""

    history: list[dict[str, Any]]
    """One row per evaluation: step, losses, development UA, whether it was the best so far."""

    steps: int
    """Number of steps taken."""

    best_step: int
    """Step of the saved weights."""

    stop_reason: str
    """patience or budget; fitted for an estimator."""

    seconds: float
    """Wall-clock time."""

    @property
    def development_score(self) -> tuple[float | None, float | None]:
        """UA and loss of the saved weights on the development set; None without one."""
        best = [row for row in self.history if row["best"]][-1]
        return best["development_ua"], best["development_loss"]


def seed_of(*key: int | str) -> int:
    """Return a seed derived from a key, independent of random numbers drawn before.

    Parameters
    ----------
    *key : int or str
        Elements of the key; the last one usually names the purpose.

    Returns
    -------
    int
        Seed, at least 0 and below 2^63.

    Examples
    --------
    >>> seed_of(1, "fold1", "all", 0, "order") == seed_of(1, "fold1", "all", 0, "order")
    True
    """
    text = "\x1f".join(map(str, key))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def seeded_generator(*key: int | str) -> torch.Generator:
    """Return a generator on the CPU, seeded by `seed_of`.

    Parameters
    ----------
    *key : int or str
        Elements of the key.

    Returns
    -------
    torch.Generator
        The generator.
    """
    return torch.Generator().manual_seed(seed_of(*key))


class Trainer:
    """State of a training: provides batches and loss, records results, decides when to stop.

    With early stopping, the best weights are those of the highest development UA, and of the lowest
    development loss among equal UAs; without early stopping, they are the last weights. The steps
    themselves are taken by `emoscale.training.engine`.

    Parameters
    ----------
    model : Classifier
        Network with initial weights, on the device of the features.
    features : CellFeatures
        Features of the cell's utterances.
    task : TrainingTask
        Data, settings and seed.
    progress : WorkProgress or None
        Progress display that counts steps, at most `maximum_steps` of this training.
    """

    def __init__(
        self,
        model: Classifier,
        features: CellFeatures,
        task: TrainingTask,
        progress: WorkProgress | None = None,
    ) -> None:
        self._progress = progress
        self._start = time.perf_counter()
        self.model, self.features, self.task = model, features, task
        settings, device = task.settings, features.device
        self.optimiser = torch.optim.AdamW(
            model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        training = task.training.to(device)
        self._loss = build_loss(task.targets[training], settings)
        classes = task.labels[training].cpu() if settings.class_balance == "sampling" else None
        self._sampler = BatchSampler(
            task.training, seeded_generator(*task.seed_key, "order"), classes
        )
        self._augmentation_generator = seeded_generator(*task.seed_key, "augmentation")
        dropout_generator = torch.Generator(device).manual_seed(seed_of(*task.seed_key, "dropout"))
        set_dropout_generator(model, dropout_generator)
        self._history: list[dict[str, Any]] = []
        self._best_score, self._best_step = (-1.0, 0.0), 0
        self._best_weights = _copy_state(model)
        self._evaluations_without_improvement, self._step, self._stop_reason = 0, 0, ""
        self._step_losses: list[Tensor] = []

    @property
    def finished(self) -> bool:
        """Whether patience or the maximum number of steps is reached."""
        return bool(self._stop_reason)

    @property
    def evaluation_due(self) -> bool:
        """Whether the development set is to be evaluated before the next step."""
        settings = self.task.settings
        return self._step % settings.steps_between_evaluations == 0 or (
            self._step == settings.maximum_steps
        )

    def next_batch(self) -> tuple[list[PackedFrames], Tensor]:
        """Return the next training batch, augmented and with smoothed labels.

        Returns
        -------
        inputs : list of PackedFrames
            The utterances' frames, one entry per input of the model.
        targets : Tensor
            Target distributions ``[batch, classes]``.
        """
        settings = self.task.settings
        indices = self._sampler.next_batch(settings.batch_size)
        inputs = self.features.batch(indices)
        (rows,) = send(self.features.device, indices)
        targets = smooth_labels(self.task.targets[rows], settings.label_smoothing)
        if settings.augmentation.is_on():
            means = [standardise.mean for standardise in self.model.standardisations()]
            inputs, targets = augment(
                inputs, targets, settings.augmentation, means, self._augmentation_generator
            )
        return inputs, targets

    def compute_loss(self, branch_logits: list[Tensor], targets: Tensor) -> Tensor:
        """Compute the training loss of a batch.

        Parameters
        ----------
        branch_logits : list of Tensor
            Logits ``[batch, classes]``; several where branches of the model are trained separately.
        targets : Tensor
            Target distributions ``[batch, classes]``.

        Returns
        -------
        Tensor
            Sum of the branches' losses.
        """
        return torch.stack([self._loss(logits, targets) for logits in branch_logits]).sum()

    def record_step(self, loss: Tensor) -> None:
        """Record that a step was taken.

        Parameters
        ----------
        loss : Tensor
            Training loss of the step.
        """
        self._step_losses.append(loss.detach())
        self._step += 1
        if self._progress is not None:
            self._progress.advance(1)

    def record_evaluation(self, logits: Tensor) -> None:
        """Record an evaluation, update the best weights, and decide whether to stop.

        Parameters
        ----------
        logits : Tensor
            Logits ``[utterances, classes]`` of the development set; empty where there is none.

        Raises
        ------
        UserError
            Where the loss is not finite.
        """
        settings = self.task.settings
        train_loss = float(torch.stack(self._step_losses).mean())
        self._step_losses = []
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
        better = not settings.early_stopping or score > self._best_score
        self._history.append({**row, "best": better})
        self._evaluations_without_improvement += 1
        if better:
            self._best_score, self._best_step = score, self._step
            self._evaluations_without_improvement = 0
            self._best_weights = _copy_state(self.model)
        if self._evaluations_without_improvement >= settings.patience:
            self._stop_reason = "patience"
            if self._progress is not None:
                self._progress.reduce_total(settings.maximum_steps - self._step)
        elif self._step >= settings.maximum_steps:
            self._stop_reason = "budget"

    def _development_score(self, logits: Tensor) -> tuple[float, float]:
        """Return loss and unweighted accuracy."""
        indices = self.task.development.to(self.features.device)
        loss = float(self._loss(logits, self.task.targets[indices]))
        truth, predicted = self.task.labels[indices], logits.argmax(dim=1)
        confusion = confusion_matrix(truth.cpu().numpy(), predicted.cpu().numpy(), logits.shape[1])
        return loss, metrics_of(confusion).unweighted_accuracy

    def result(self) -> TrainingResult:
        """Load the best weights into the model and return the result; the training ends.

        Returns
        -------
        TrainingResult
            History, steps and time.
        """
        self.model.load_state_dict(self._best_weights)
        return TrainingResult(
            self._history,
            self._step,
            self._best_step,
            self._stop_reason,
            time.perf_counter() - self._start,
        )


def _copy_state(model: Classifier) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
