"""A cell: one experiment, fold and training size, with all its repeats in one process."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from emoscale.config.training import TrainingSettings
from emoscale.protocol.orders import training_labels
from emoscale.runtime.provenance import digest
from emoscale.store.memory_budget import MemoryBudget
from emoscale.training.cache import FOLDER, TrainingCache, machine_of
from emoscale.training.cell_features import label_numbers
from emoscale.training.prepared_cell import Cell, PreparedCell, prepare_cell
from emoscale.training.targets import voted_targets
from emoscale.training.tasks import Planned, Trained, probabilities_from, train_all
from emoscale.training.trainer import Task
from emoscale.training.write_run import FinishedRepeat, write_run


@dataclass(frozen=True)
class Done:
    """What a job did of its cell."""

    cached: int
    """Trainings that an earlier job had finished with the same numbers."""

    trained: int
    """Trainings that this one did."""

    damaged: list[Path]
    """Files of the cache that are damaged, and so were not used."""


def train_cell(
    cell: Cell, folder: Path, device: torch.device, budget: MemoryBudget | None = None
) -> Done:
    """Train every repeat and write predictions, history, weights and `run.json` to `folder`.

    Trainings that an earlier job finished, and that nothing has changed for, are taken from its
    cache there (`emoscale.training.cache`). Features lie within `budget`, which changes no number.
    Raises `UserError` as `prepare_cell` does, and where a training diverges.
    """
    began = time.perf_counter()
    if device.type == "cuda":  # on a CPU every operation here is deterministic as it is
        torch.use_deterministic_algorithms(True)
    prepared = prepare_cell(cell, device, budget or MemoryBudget())
    identities = _identities(prepared)
    cache = TrainingCache(folder / FOLDER)
    finished = {each: found for each in identities.values() if (found := cache.get(each))}
    cached, seconds = len(finished), sum(each.training.seconds for each in finished.values())
    plan = _plan(prepared, identities, finished)
    for identity, trained in train_all(
        str(cell.name), plan, prepared.shapes, len(prepared.classes), prepared.features
    ):
        cache.put(identity, trained)
        finished[identity] = trained
    repeats = [
        _choose(prepared, [finished[identities[repeat, t.number]] for t in prepared.trials])
        for repeat in range(len(prepared.repeats))
    ]
    write_run(prepared, repeats, folder, seconds + time.perf_counter() - began)
    cache.remove_others(set(identities.values()))
    return Done(cached, len(plan), cache.damaged)


def _identities(prepared: PreparedCell) -> dict[tuple[int, int], str]:
    """Digests of everything that decides a training's numbers, by repeat and trial.

    Of the protocol only the rows that the repeat learns from and is chosen on: one more repeat
    changes none of them. Whom it is tested on decides nothing, because predictions are computed
    anew from the weights. Of the settings only the trial's: a larger grid changes none of them.
    """
    cell = prepared.cell
    shared = {
        "code": cell.code_sha256,
        "features": [[store.sha256, store.layer] for store in cell.stores],
        "shapes": [dataclasses.asdict(shape) for shape in prepared.shapes],
        "machine": machine_of(prepared.device),
        "classes": prepared.classes,
    }
    identities = {}
    for number, repeat in enumerate(prepared.repeats):
        told = cell.fold.select("utterance", "label", "speaker", "votes").with_columns(
            told=training_labels(cell.fold, number)
        )
        row_of = {row["utterance"]: row for row in told.iter_rows(named=True)}
        of_repeat = digest(
            {
                **shared,
                "name": list(_name_of(cell, number)),
                "training": [row_of[key] for key in repeat.utterances],
                "development": [row_of[key] for key in prepared.development],
            }
        )
        for trial in prepared.trials:
            settings = [each.model_dump(mode="json") for each in (trial.model, trial.training)]
            identities[number, trial.number] = digest([of_repeat, *settings])
    return identities


def _name_of(cell: Cell, repeat: int) -> tuple[int | str, ...]:
    """What a repeat's random streams are named after."""
    return (cell.settings.seed, cell.name.fold, cell.name.size, repeat)


def _plan(
    prepared: PreparedCell, identities: Mapping[tuple[int, int], str], finished: Collection[str]
) -> list[Planned]:
    """The trainings that are not finished yet."""
    return [
        Planned(identity, _task(prepared, repeat, trial.training), trial.model)
        for repeat in range(len(prepared.repeats))
        for trial in prepared.trials
        if (identity := identities[repeat, trial.number]) not in finished
    ]


def _task(prepared: PreparedCell, repeat: int, settings: TrainingSettings) -> Task:
    features, classes, own = prepared.features, prepared.classes, prepared.repeats[repeat]
    told = [own.label_of[key] for key in features.index_of]
    labels = torch.tensor(label_numbers(told, classes), dtype=torch.int64)
    targets = torch.nn.functional.one_hot(labels, len(classes)).float()
    if settings.targets == "votes":
        targets = voted_targets(targets, features.index_of, prepared.cell.fold, classes)
    return Task(
        _name_of(prepared.cell, repeat),
        features.indices(own.utterances),
        features.indices(prepared.development),
        labels.to(features.device),
        targets.to(features.device),
        settings,
    )


def _choose(prepared: PreparedCell, trials: list[Trained]) -> FinishedRepeat:
    """The trial of the highest development UA, of the lowest loss among equals; its predictions."""
    scores = [each.training.development_score for each in trials]
    keys = [(ua or 0.0, -(loss or 0.0)) for ua, loss in scores]
    number = keys.index(max(keys))
    probabilities = probabilities_from(
        prepared.trials[number].model,
        prepared.shapes,
        len(prepared.classes),
        trials[number].weights,
        prepared.features,
        prepared.features.indices(prepared.tested),
        prepared.trials[number].training.precision,
    )
    return FinishedRepeat(trials, number, probabilities)
