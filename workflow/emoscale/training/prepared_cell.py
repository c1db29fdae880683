"""What a cell is trained from: labels and features in memory, its repeats and trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl
import torch

from emoscale.config.checkpoints import PredictionSettings
from emoscale.config.search import Trial, trials_of
from emoscale.config.training import CellSettings
from emoscale.models.contract import InputShape
from emoscale.protocol.orders import subset, training_labels
from emoscale.runtime.errors import ConfigurationError
from emoscale.store.index import FeatureStore
from emoscale.store.memory_budget import MemoryBudget
from emoscale.training.cell_features import CellFeatures, check_times, share_without_times
from emoscale.training.run_record import CellName


@dataclass(frozen=True)
class Cell:
    """What is trained, from what."""

    name: CellName
    settings: CellSettings
    fold: pl.DataFrame
    """The fold's protocol table."""

    stores: Sequence[FeatureStore]
    """Features of each input, in the model's order."""

    code_sha256: str
    """Digest of the training code."""

    protocol_sha256: str
    """Digest of the fold's table: for the record, as trainings depend on some of its rows only."""

    prediction: PredictionSettings = field(default_factory=PredictionSettings)
    """For the record: changes no training."""


@dataclass(frozen=True)
class Repeat:
    """What a repeat learns from."""

    utterances: list[str]
    label_of: dict[str, str]
    """Of every utterance of the fold, the label that the repeat is told."""


@dataclass(frozen=True)
class PreparedCell:
    """What the trainings of a cell share."""

    cell: Cell
    device: torch.device
    classes: list[str]
    trials: list[Trial]
    repeats: list[Repeat]
    development: list[str]
    tested: list[str]
    shapes: list[InputShape]
    features: CellFeatures
    tokens_without_time: list[float | None]
    """Of each input."""


def prepare_cell(cell: Cell, device: torch.device, budget: MemoryBudget) -> PreparedCell:
    """Read what a cell needs; features lie within `budget`.

    Raises `UserError` where the subset or a feature is missing, something is to be chosen on
    development data and the fold has none, or attention is to be confined and no word has a time.
    """
    fold = cell.fold
    repeats = [
        Repeat(
            subset(fold, number, cell.name.size),
            dict(zip(fold["utterance"], training_labels(fold, number), strict=True)),
        )
        for number in range(sum(name.startswith("rank_") for name in fold.columns))
    ]
    development, tested = (
        fold.filter(pl.col("role") == role)["utterance"].to_list() for role in ("dev", "test")
    )
    trials = trials_of(cell.settings.model, cell.settings.training, cell.settings.search)
    if not development:
        _check_nothing_is_chosen(trials)
    learned = sorted({key for repeat in repeats for key in repeat.utterances})
    utterances = learned + development + tested
    features = [store.load(utterances, budget) for store in cell.stores]
    without_time = [share_without_times(each) for each in features]
    if any(getattr(trial.model, "confined", False) for trial in trials):
        check_times(cell.stores[1], without_time[1])
    return PreparedCell(
        cell,
        device,
        sorted(fold["label"].unique()),
        trials,
        repeats,
        development,
        tested,
        [shape_of(store) for store in cell.stores],
        CellFeatures(utterances, features, device),
        without_time,
    )


def _check_nothing_is_chosen(trials: Sequence[Trial]) -> None:
    """Raises `ConfigurationError` otherwise; an estimator looks after its strengths itself."""
    none = "the fold has no development set, so no"
    if len(trials) > 1:
        raise ConfigurationError(f"{none} trial of the search could be chosen; search nothing")
    (trial,) = trials
    if trial.model.kind != "estimator" and trial.training.early_stopping:
        raise ConfigurationError(
            f"{none} step could be chosen; set training.early_stopping to false"
        )


def shape_of(store: FeatureStore) -> InputShape:
    """A representation as a model sees it."""
    layers = len(store.layers) if store.reads_layers else None
    return InputShape(store.dimension, layers, store.frame_rate)
