"""The repeats of a cell: one model after the other on the same material, resumable."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emoscale.config.training import TrainingSettings
from emoscale.models.contract import Classifier
from emoscale.training.engine import Trainer, Training, probabilities_of
from emoscale.training.material import Material
from emoscale.training.resume import ResumeFile, State
from emoscale.training.seeds import seed_of


@dataclass(frozen=True)
class Task:
    """One repeat: what it learns from, and what its randomness is called."""

    name: tuple[int | str, ...]
    """Seeds weights, order and dropout."""

    training: Tensor
    """[utterances] places in the material."""

    labels: Tensor
    """[all utterances] class number of each of the material's, on its device."""


@dataclass(frozen=True)
class Trained:
    """One finished repeat."""

    weights: dict[str, Tensor]
    """The kept weights, on the CPU."""

    probabilities: NDArray[np.float64]
    """[test utterances, classes]"""

    training: Training
    """How it went."""


def train_repeats(
    tasks: Sequence[Task],
    build: Callable[[], Classifier],
    material: Material,
    development: Tensor,
    tested: Tensor,
    settings: TrainingSettings,
    classes: int,
    resume: ResumeFile,
    after_each: Callable[[], None],
) -> list[Trained]:
    """Train every task and predict the utterances at `tested`; go on where an equal job stopped.

    `build` makes the model on the material's device, with weights from torch's generator.
    """
    finished, current = _parts(resume.load())
    for trained in finished:
        del trained
        after_each()
    for task in tasks[len(finished) :]:
        torch.manual_seed(seed_of(*task.name, "weights"))
        model = build()
        for standardise, each in zip(model.standardise, material.inputs, strict=True):
            standardise.set_statistics(*each.statistics(task.training))
        trainer = Trainer(
            model,
            material,
            task.training,
            development,
            task.labels,
            settings,
            classes,
            task.name,
        )
        if current is not None:
            trainer.restore(*current)
            current = None
        while not trainer.finished:
            trainer.advance()
            if resume.due():
                resume.save(_whole(finished, trainer))
        training = trainer.result()
        weights = {name: value.cpu() for name, value in model.state_dict().items()}
        finished.append(Trained(weights, probabilities_of(model, material, tested), training))
        after_each()
    return finished


def _whole(finished: Sequence[Trained], trainer: Trainer) -> State:
    """The state of a cell: its finished repeats and the one that is under way."""
    tensors: dict[str, Tensor] = {}
    for place, trained in enumerate(finished):
        tensors |= {f"{place}.weights.{name}": value for name, value in trained.weights.items()}
        tensors[f"{place}.probabilities"] = torch.from_numpy(trained.probabilities)
    own, values = trainer.state()
    tensors |= {f"current.{name}": value for name, value in own.items()}
    trainings = [dataclasses.asdict(trained.training) for trained in finished]
    return tensors, {"finished": trainings, "current": values}


def _parts(state: State | None) -> tuple[list[Trained], tuple[dict[str, Tensor], Any] | None]:
    """What `_whole` put together."""
    if state is None:
        return [], None
    tensors, values = state

    def part(prefix: str) -> dict[str, Tensor]:
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    finished = [
        Trained(
            part(f"{place}.weights."),
            tensors[f"{place}.probabilities"].numpy(),
            Training(**training),
        )
        for place, training in enumerate(values["finished"])
    ]
    return finished, (part("current."), values["current"])
