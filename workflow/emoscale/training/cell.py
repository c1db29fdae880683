"""Training of a cell: all repeats and trials of one experiment, fold and training size."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from emoscale.config.training import TrainingSettings
from emoscale.protocol.orders import training_labels
from emoscale.runtime.devices import use_deterministic_algorithms
from emoscale.runtime.provenance import digest
from emoscale.store.speaker_statistics import speaker_statistics_path
from emoscale.tables.parquet import result_sha256
from emoscale.training.cache import CACHE_FOLDER, TrainingCache, execution_environment
from emoscale.training.cell_features import class_indices
from emoscale.training.prepared_cell import Cell, PreparedCell, prepare_cell
from emoscale.training.targets import targets_from_votes
from emoscale.training.tasks import (
    PlannedTraining,
    TrainedModel,
    predict_from_weights,
    train_all,
)
from emoscale.training.trainer import TrainingTask
from emoscale.training.write_run import FinishedRepeat, write_run


@dataclass(frozen=True)
class CellSummary:
    """How many trainings of a cell a job computed, and how many it read from the cache."""

    cached: int
    """Trainings read from the cache."""

    trained: int
    """Trainings computed by this job."""

    damaged: list[Path]
    """Damaged files of the cache; they were not used."""


def train_cell(cell: Cell, folder: Path, device: torch.device) -> CellSummary:
    """Train every repeat of a cell and write its run.

    The folder then holds predictions, history, weights and `run.json`. Trainings that an earlier
    job has finished, and whose inputs have not changed, are read from the cache in the same folder
    (see `emoscale.training.cache`).

    Parameters
    ----------
    cell : Cell
        What to train, and on which data.
    folder : Path
        Folder of the run.
    device : torch.device
        Device that computes.

    Returns
    -------
    CellSummary
        Number of cached and of computed trainings.

    Raises
    ------
    UserError
        Where `prepare_cell` raises it, or where a training diverges.
    """
    start = time.perf_counter()
    use_deterministic_algorithms(device)
    prepared = prepare_cell(cell, device)
    identities = _identities(prepared)
    cache = TrainingCache(folder / CACHE_FOLDER)
    finished = {
        identity: trained for identity in identities.values() if (trained := cache.get(identity))
    }
    cached, seconds = len(finished), sum(each.result.seconds for each in finished.values())
    plan = _plan(prepared, identities, finished)
    for identity, trained in train_all(
        str(cell.name), plan, prepared.shapes, len(prepared.classes), prepared.features
    ):
        cache.put(identity, trained)
        finished[identity] = trained
    repeats = [
        _select_trial(prepared, [finished[identities[repeat, t.number]] for t in prepared.trials])
        for repeat in range(len(prepared.repeats))
    ]
    write_run(prepared, repeats, folder, seconds + time.perf_counter() - start)
    cache.prune(set(identities.values()))
    return CellSummary(cached, len(plan), cache.damaged)


def _identities(prepared: PreparedCell) -> dict[tuple[int, int], str]:
    """Return digests of everything that determines a training's numbers, by repeat and trial.

    Of the protocol, only the rows of the repeat's training and development utterances count, so
    that adding a repeat does not change the digests of the others. The test utterances do not
    count, because predictions are always computed again from the weights. Of the settings, only
    those of the trial count, so that a larger grid does not change the digests of its old points.
    """
    cell = prepared.cell
    shared: dict[str, Any] = {
        "code": cell.code_sha256,
        "features": [[store.sha256, store.layer] for store in cell.stores],
        "shapes": [dataclasses.asdict(shape) for shape in prepared.shapes],
        "machine": execution_environment(prepared.device),
        "classes": prepared.classes,
    }
    if cell.settings.training.normalisation == "speaker":
        shared["speakers"] = [
            result_sha256(speaker_statistics_path(store.path)) for store in cell.stores
        ]
    identities = {}
    for number, repeat in enumerate(prepared.repeats):
        table = cell.fold.select("utterance", "label", "speaker", "votes").with_columns(
            training_label=training_labels(cell.fold, number)
        )
        row_of = {row["utterance"]: row for row in table.iter_rows(named=True)}
        repeat_digest = digest(
            {
                **shared,
                "name": list(_seed_key(cell, number)),
                "training": [row_of[key] for key in repeat.utterances],
                "development": [row_of[key] for key in prepared.development],
            }
        )
        for trial in prepared.trials:
            settings = [each.model_dump(mode="json") for each in (trial.model, trial.training)]
            identities[number, trial.number] = digest([repeat_digest, *settings])
    return identities


def _seed_key(cell: Cell, repeat: int) -> tuple[int | str, ...]:
    """Return the key from which all random generators of a repeat are seeded."""
    return (cell.settings.seed, cell.name.fold, cell.name.size, repeat)


def _plan(
    prepared: PreparedCell, identities: Mapping[tuple[int, int], str], finished: Collection[str]
) -> list[PlannedTraining]:
    """Return the trainings that are not finished yet."""
    return [
        PlannedTraining(identity, _task(prepared, repeat, trial.training), trial.model)
        for repeat in range(len(prepared.repeats))
        for trial in prepared.trials
        if (identity := identities[repeat, trial.number]) not in finished
    ]


def _task(prepared: PreparedCell, number: int, settings: TrainingSettings) -> TrainingTask:
    features, classes, repeat = prepared.features, prepared.classes, prepared.repeats[number]
    names = [repeat.label_of[key] for key in features.index_of]
    labels = torch.tensor(class_indices(names, classes), dtype=torch.int64)
    targets = torch.nn.functional.one_hot(labels, len(classes)).float()
    if settings.targets == "votes":
        targets = targets_from_votes(targets, features.index_of, prepared.cell.fold, classes)
    return TrainingTask(
        _seed_key(prepared.cell, number),
        features.indices(repeat.utterances),
        features.indices(prepared.development),
        labels.to(features.device),
        targets.to(features.device),
        settings,
    )


def _select_trial(prepared: PreparedCell, trials: list[TrainedModel]) -> FinishedRepeat:
    """Select the trial of highest development UA (ties: lowest loss) and predict the test set."""
    scores = [trained.result.development_score for trained in trials]
    keys = [(ua or 0.0, -(loss or 0.0)) for ua, loss in scores]
    selected = keys.index(max(keys))
    probabilities = predict_from_weights(
        prepared.trials[selected].model,
        prepared.shapes,
        len(prepared.classes),
        trials[selected].weights,
        prepared.features,
        prepared.features.indices(prepared.test),
        prepared.trials[selected].training.precision,
    )
    return FinishedRepeat(trials, selected, probabilities)
