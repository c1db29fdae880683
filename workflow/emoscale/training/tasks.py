"""All trainings of a cell: the repeats, and the trials of each, resumable."""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from emoscale.models.contract import InputShape
from emoscale.models.registry import FITTING, build_model
from emoscale.training.engine import run
from emoscale.training.fitted import Weights
from emoscale.training.material import Material
from emoscale.training.resume import ResumeFile, State
from emoscale.training.seeds import seed_of
from emoscale.training.trainer import Task, Trainer, Training


@dataclass(frozen=True)
class Planned:
    """One training that is to be done."""

    key: str
    """Unique in the cell; no dots."""

    task: Task
    model: Any
    """Its settings."""


@dataclass(frozen=True)
class Trained:
    """One finished training."""

    weights: Weights
    training: Training
    execution: str
    """How it was computed."""


def train_all(
    plan: Sequence[Planned],
    shapes: Sequence[InputShape],
    classes: int,
    material: Material,
    resume: ResumeFile,
    after_each: Callable[[], None],
) -> dict[str, Trained]:
    """Every planned training by its key; those that an equal job finished or began go on."""
    finished, begun = _parts(resume.load())
    for _ in finished:
        after_each()
    left = [planned for planned in plan if planned.key not in finished]
    with resume.kept_at_the_end():
        for group in _groups(left, material, shapes, classes):
            if group[0].model.kind == "estimator":
                finished[group[0].key] = _fitted(group[0], shapes, classes, material)
                after_each()
            else:
                for key, trained in _trained(
                    group, shapes, classes, material, resume, finished, begun
                ):
                    finished[key] = trained
                    after_each()
            resume.remember(_whole(finished, {}))
    return {planned.key: finished[planned.key] for planned in plan}


def _fitted(
    planned: Planned, shapes: Sequence[InputShape], classes: int, material: Material
) -> Trained:
    fitting = importlib.import_module(FITTING)  # imports scikit-learn, which takes long
    weights, training = fitting.fit(planned.task, planned.model, shapes, classes, material)
    return Trained(weights, training, "scikit-learn, a vector an utterance")


def _trained(
    group: Sequence[Planned],
    shapes: Sequence[InputShape],
    classes: int,
    material: Material,
    resume: ResumeFile,
    finished: dict[str, Trained],
    begun: Mapping[str, State],
) -> Iterator[tuple[str, Trained]]:
    """Train what goes side by side; what is `finished` before is kept with what is under way."""
    trainers = {}
    for planned in group:
        trainers[planned.key] = _trainer(planned, shapes, classes, material)
        if planned.key in begun:
            trainers[planned.key].restore(*begun[planned.key])
    for _ in run(list(trainers.values())):
        if resume.due():
            resume.save(_whole(finished, trainers))
        resume.remember(_copied(_whole(finished, trainers)))
    how = f"{len(group)} side by side" if len(group) > 1 else "one after the other"
    for key, trainer in trainers.items():
        training = trainer.result()
        weights = {name: value.cpu() for name, value in trainer.model.state_dict().items()}
        yield key, Trained(weights, training, f"{how}, packed frames")


def _trainer(
    planned: Planned, shapes: Sequence[InputShape], classes: int, material: Material
) -> Trainer:
    torch.manual_seed(seed_of(*planned.task.name, "weights"))
    model = build_model(planned.model, shapes, classes).to(material.device)
    for standardise, each in zip(model.standardisations(), material.inputs, strict=True):
        standardise.set_statistics(*each.statistics(planned.task.training))
    return Trainer(model, material, planned.task)


def _groups(
    plan: Sequence[Planned], material: Material, shapes: Sequence[InputShape], classes: int
) -> Iterator[list[Planned]]:
    """What is trained side by side: on a GPU the repeats of equal settings, else each alone."""
    if material.device.type != "cuda":
        yield from ([planned] for planned in plan)
        return
    groups: dict[str, list[Planned]] = {}
    for planned in plan:
        can = planned.model.kind != "estimator" and (
            build_model(planned.model, shapes, classes).side_by_side
        )
        settings = f"{planned.model!r} {planned.task.settings!r}"
        groups.setdefault(settings if can else planned.key, []).append(planned)
    yield from groups.values()


def _whole(finished: dict[str, Trained], trainers: dict[str, Trainer]) -> State:
    """The state of a cell: what is finished, and what is under way."""
    tensors: dict[str, Tensor] = {}
    values: dict[str, Any] = {"finished": {}, "begun": {}}
    for key, trained in finished.items():
        tensors |= {f"finished.{key}.{name}": value for name, value in trained.weights.items()}
        values["finished"][key] = {
            "training": dataclasses.asdict(trained.training),
            "execution": trained.execution,
        }
    for key, trainer in trainers.items():
        own, values["begun"][key] = trainer.state()
        tensors |= {f"begun.{key}.{name}": value for name, value in own.items()}
    return tensors, values


def _copied(state: State) -> State:
    """With copies of what changes as the trainings go on; values are made anew each time."""
    tensors, values = state
    return {
        name: value.detach().clone() if name.startswith("begun.") else value
        for name, value in tensors.items()
    }, json.loads(json.dumps(values))


def _parts(
    state: State | None,
) -> tuple[dict[str, Trained], dict[str, tuple[dict[str, Tensor], dict[str, Any]]]]:
    """What `_whole` put together."""
    if state is None:
        return {}, {}
    tensors, values = state

    def part(prefix: str) -> dict[str, Tensor]:
        return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}

    finished = {
        key: Trained(part(f"finished.{key}."), Training(**value["training"]), value["execution"])
        for key, value in values["finished"].items()
    }
    return finished, {key: (part(f"begun.{key}."), own) for key, own in values["begun"].items()}
