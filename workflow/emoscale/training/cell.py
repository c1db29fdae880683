"""A cell: one experiment, fold and training size, with all its repeats in one process."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import torch
from pydantic import Field
from safetensors.torch import save_file

from emoscale.config.models import ModelSettings
from emoscale.config.prediction import PredictionSettings
from emoscale.config.search import Trial, trials_of
from emoscale.config.settings import Settings
from emoscale.config.training import TrainingSettings
from emoscale.models.contract import InputShape
from emoscale.protocol.orders import subset, told_labels
from emoscale.runtime.errors import ConfigurationError
from emoscale.runtime.files import atomic_path, write_json
from emoscale.runtime.progress import WorkProgress
from emoscale.runtime.provenance import digest, file_sha256, package_versions
from emoscale.store.index import FeatureStore
from emoscale.store.room import Room
from emoscale.tables.schemas import HISTORY, frame_of, predictions_schema, write_table
from emoscale.training.fitted import probabilities_from
from emoscale.training.kept import keep, machine_of, read_kept, repeat_identity
from emoscale.training.layer_shares import layer_weights_of
from emoscale.training.material import Material, label_numbers
from emoscale.training.resume import ResumeFile
from emoscale.training.run_record import (
    best_trial,
    peak_memory_megabytes,
    run_row,
    trial_row,
)
from emoscale.training.targets import voted_targets, without_votes
from emoscale.training.tasks import Planned, Trained, train_all
from emoscale.training.trainer import Task
from emoscale.training.word_times import check_times, share_without_times

_RESUME = ".resume.safetensors"


class CellSettings(Settings):
    """The part of the configuration that one experiment's trainings depend on."""

    model: ModelSettings
    training: TrainingSettings
    search: dict[str, list[Any]] = Field(default_factory=dict)
    layers: tuple[int | None, ...] = (None,)
    seed: int


@dataclass(frozen=True)
class Cell:
    """Which training this is."""

    experiment: str
    fold: str
    size: str


@dataclass(frozen=True)
class Done:
    """What a job did of its cell."""

    kept: int
    """Repeats that an earlier job had trained with the same numbers."""

    trained: int
    """Repeats that this one did."""

    damaged: bool
    """Whether what an earlier job kept was damaged, and so not used."""


def train_cell(
    cell: Cell,
    settings: CellSettings,
    fold: pl.DataFrame,
    stores: Sequence[FeatureStore],
    folder: Path,
    device: torch.device,
    origin: dict[str, Any],
    prediction: PredictionSettings | None = None,
    room: Room | None = None,
    checkpoint_seconds: float = 20.0,
) -> Done:
    """Train every repeat and write predictions, history, weights and `run.json` to `folder`.

    Repeats that an earlier job finished, and that nothing has changed for, are taken from what it
    kept there (`emoscale.training.kept`); of a search, with all trials or none. `fold` is the
    protocol table; features lie in `room`, which changes no number; `origin` (digests of inputs and
    code) goes into `run.json`, and so does `prediction`, which changes nothing here.
    Raises `UserError` where the subset or a feature is missing, or something is to be chosen on
    development data and the fold has none.
    """
    began = time.perf_counter()
    if device.type == "cuda":  # on a CPU every operation here is deterministic as it is
        torch.use_deterministic_algorithms(True)
    repeats = sum(name.startswith("rank_") for name in fold.columns)
    subsets = [subset(fold, repeat, cell.size) for repeat in range(repeats)]
    development = fold.filter(pl.col("role") == "dev")["utterance"].to_list()
    tested = fold.filter(pl.col("role") == "test")["utterance"].to_list()
    classes = sorted(fold["label"].unique())
    label_of = dict(fold.select("utterance", "label").iter_rows())
    needed = sorted({key for keys in subsets for key in keys}) + development + tested
    room = room or Room()
    features = [store.load(needed, room) for store in stores]
    trials = trials_of(settings.model, settings.training, settings.search)
    without_times = [share_without_times(each) for each in features]
    if any(getattr(trial.model, "confined", False) for trial in trials):
        check_times(stores[1], without_times[1])
    stored_bytes = sum(each.frames.nbytes for each in features)
    material = Material(needed, features, device, room.spare_bytes(stored_bytes))
    shapes = [shape_of(store) for store in stores]

    told = [
        dict(zip(fold["utterance"], told_labels(fold, repeat), strict=True))
        for repeat in range(repeats)
    ]
    if not development:
        _check_nothing_is_chosen(trials)
    names = [(settings.seed, cell.fold, cell.size, repeat) for repeat in range(repeats)]
    identities = [
        repeat_identity(names[repeat], origin, device, fold, repeat, subsets[repeat], development)
        for repeat in range(repeats)
    ]
    known = read_kept(folder)
    is_kept = [identity in known.repeats for identity in identities]
    plan = {
        (repeat, trial.number): Planned(
            f"{repeat}-{trial.number}",
            _task(
                names[repeat],
                material,
                subsets[repeat],
                development,
                [told[repeat][key] for key in needed],
                classes,
                trial.training,
                fold,
            ),
            trial.model,
        )
        for repeat in range(repeats)
        for trial in trials
        if not is_kept[repeat]
    }
    resume = ResumeFile(folder / _RESUME, _identity(cell, origin, device), checkpoint_seconds)
    with WorkProgress(
        "/".join((cell.experiment, cell.fold, cell.size)), len(plan), "trainings"
    ) as bar:
        trained = train_all(
            list(plan.values()),
            shapes,
            len(classes),
            material,
            resume,
            lambda: bar.advance(1),
        )
    predictions, history, runs = [], [], []
    weights: dict[str, torch.Tensor] = {}
    finished: dict[str, list[Trained]] = {}
    choices: dict[str, int] = {}
    for repeat, identity in enumerate(identities):
        of_trials = known.repeats.get(identity) or [
            trained[plan[repeat, trial.number].key] for trial in trials
        ]
        chosen = best_trial([each.training for each in of_trials])
        finished[identity], choices[identity] = of_trials, chosen
        kept, trial = of_trials[chosen], trials[chosen]
        probabilities = probabilities_from(
            trial.model,
            shapes,
            len(classes),
            kept.weights,
            material,
            material.places(tested),
            trial.training.precision,
        )
        predictions.append(_predictions(repeat, tested, label_of, classes, probabilities))
        weights |= {
            f"repeat_{repeat}.{key}": value.contiguous() for key, value in kept.weights.items()
        }
        for number, each in enumerate(of_trials):
            history += [{"repeat": repeat, "trial": number, **row} for row in each.training.history]
        runs.append(
            {
                **run_row(repeat, subsets[repeat], fold, told[repeat], classes, kept.training),
                "execution": kept.execution,
                "kept": is_kept[repeat],
                "model": trial.model.model_dump(mode="json"),
                "precision": trial.training.precision,
                "training_utterances_without_votes": (
                    without_votes(subsets[repeat], fold)
                    if trial.training.labels == "votes"
                    else None
                ),
                "layer_weights": layer_weights_of(kept.weights, stores),
                "chosen_trial": chosen,
                "trials": [
                    trial_row(trial, each.training)
                    for trial, each in zip(trials, of_trials, strict=True)
                ],
            }
        )

    folder.mkdir(parents=True, exist_ok=True)
    write_table(pl.concat(predictions), folder / "predictions.parquet", predictions_schema(classes))
    write_table(frame_of(history, HISTORY), folder / "history.parquet", HISTORY)
    with atomic_path(folder / "model.safetensors") as temporary:
        save_file(weights, temporary)
    files = ("predictions.parquet", "history.parquet", "model.safetensors")
    write_json(
        folder / "run.json",
        {
            "experiment": cell.experiment,
            "fold": cell.fold,
            "size": cell.size,
            "classes": classes,
            "inputs": [dataclasses.asdict(shape) for shape in shapes],
            "utterances_in_windows": max(store.in_windows(needed) for store in stores),
            "tokens_without_time": without_times,
            "settings": settings.model_dump(mode="json"),
            "repeats": runs,
            "development_utterances": len(development),
            "test_utterances": len(tested),
            "device": str(device),
            "threads": torch.get_num_threads(),
            "representations": [store.description() for store in stores],
            "prediction": (prediction or PredictionSettings()).model_dump(mode="json"),
            # Of all its trainings, whichever job they were done by.
            "seconds": time.perf_counter()
            - began
            + sum(each["seconds"] for each in runs if each["kept"]),
            "peak_memory_megabytes": peak_memory_megabytes(),
            "origin": origin,
            "files": {name: file_sha256(folder / name) for name in files},
            "versions": package_versions(["torch", "numpy", "h5py", "polars"]),
        },
    )
    keep(folder, finished, choices)
    resume.remove()
    return Done(sum(is_kept), len(is_kept) - sum(is_kept), known.damaged)


def _task(
    name: tuple[int | str, ...],
    material: Material,
    training: list[str],
    development: list[str],
    told: list[str],
    classes: list[str],
    settings: TrainingSettings,
    fold: pl.DataFrame,
) -> Task:
    """A repeat's training; `told` are the classes of all of the material's utterances."""
    labels = torch.tensor(label_numbers(told, classes), dtype=torch.int64)
    targets = torch.nn.functional.one_hot(labels, len(classes)).float()
    if settings.labels == "votes":
        targets = voted_targets(targets, material.place_of, fold, classes)
    return Task(
        name,
        material.places(training),
        material.places(development),
        labels.to(material.device),
        targets.to(material.device),
        settings,
    )


def _check_nothing_is_chosen(trials: Sequence[Trial]) -> None:
    """Raises `ConfigurationError` otherwise; an estimator looks after its strengths itself."""
    none = "the fold has no development set, so no"
    if len(trials) > 1:
        raise ConfigurationError(f"{none} trial of the search could be chosen; search nothing")
    (trial,) = trials
    if trial.model.kind != "estimator" and trial.training.schedule != "fixed":
        raise ConfigurationError(f"{none} step could be chosen; set training.schedule to fixed")


def _identity(cell: Cell, origin: dict[str, Any], device: torch.device) -> str:
    """What a state that was left behind must belong to, to be taken up."""
    return digest({**dataclasses.asdict(cell), **origin, **machine_of(device)})


def shape_of(store: FeatureStore) -> InputShape:
    """A representation as a model sees it."""
    layers = len(store.layers) if store.reads_layers else None
    return InputShape(store.dimension, layers, store.frame_rate)


def _predictions(
    repeat: int,
    utterances: list[str],
    label_of: dict[str, str],
    classes: list[str],
    probabilities: Any,
) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "utterance": utterances,
            "repeat": [repeat] * len(utterances),
            "label": [label_of[key] for key in utterances],
            "predicted": [classes[place] for place in probabilities.argmax(axis=1)],
            **{f"p_{name}": probabilities[:, place] for place, name in enumerate(classes)},
        },
        schema_overrides={"repeat": pl.Int32},
    )
