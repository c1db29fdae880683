"""Inputs of a cell's trainings: labels, features, repeats and trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import polars as pl
import torch

from emoscale.config.checkpoints import PredictionSettings
from emoscale.config.models import AlignedFusionSettings
from emoscale.config.search import Trial, trials_of
from emoscale.config.training import CellSettings
from emoscale.models.contract import InputShape
from emoscale.protocol.orders import subset, training_labels
from emoscale.runtime.errors import ConfigurationError
from emoscale.store.index import FeatureStore
from emoscale.training.cell_features import (
    CellFeatures,
    check_word_times,
    fraction_without_times,
)
from emoscale.training.normalisation import check_several_frames, input_normalisations
from emoscale.training.run_record import CellName


@dataclass(frozen=True)
class Cell:
    """An experiment, a fold and a training size, with settings, protocol table and features."""

    name: CellName
    settings: CellSettings
    fold: pl.DataFrame
    """Protocol table of the fold."""

    stores: Sequence[FeatureStore]
    """Features of each input, in the model's order."""

    code_sha256: str
    """Digest of the training code."""

    protocol_sha256: str
    """Digest of the protocol table's file; only for the run record, as trainings depend on some of
    its rows only."""

    prediction: PredictionSettings = field(default_factory=PredictionSettings)
    """Settings for predicting new recordings; only for the run record, no training depends on
    them."""


@dataclass(frozen=True)
class Repeat:
    """Training subset and labels of one repeat."""

    utterances: list[str]
    """Training subset, in the training order."""

    label_of: dict[str, str]
    """Training label of every utterance of the fold."""


@dataclass(frozen=True)
class PreparedCell:
    """A cell with everything its trainings need."""

    cell: Cell
    device: torch.device
    classes: list[str]
    trials: list[Trial]
    repeats: list[Repeat]
    development: list[str]
    """Keys of the development utterances."""

    test: list[str]
    """Keys of the test utterances."""

    shapes: list[InputShape]
    features: CellFeatures
    tokens_without_time: list[float | None]
    """Per input, the fraction of tokens whose word has no time; None where it is not a text."""


def prepare_cell(cell: Cell, device: torch.device) -> PreparedCell:
    """Read labels and features of a cell.

    Parameters
    ----------
    cell : Cell
        The cell.
    device : torch.device
        Device of the trainings.

    Returns
    -------
    PreparedCell
        Inputs of the cell's trainings.

    Raises
    ------
    UserError
        Where the fold is too small for the training size, features are missing, the settings need
        a development set that the fold does not have, attention is limited to words and no word
        has a time, or a representation cannot be normalised as set.
    """
    fold = cell.fold
    repeats = [
        Repeat(
            subset(fold, number, cell.name.size),
            dict(zip(fold["utterance"], training_labels(fold, number), strict=True)),
        )
        for number in range(sum(name.startswith("rank_") for name in fold.columns))
    ]
    development, test = (
        fold.filter(pl.col("role") == role)["utterance"].to_list() for role in ("dev", "test")
    )
    trials = trials_of(cell.settings.model, cell.settings.training, cell.settings.search)
    if not development:
        _check_no_selection(trials)
    normalisation = cell.settings.training.normalisation
    check_several_frames(normalisation, cell.stores)
    training = sorted({key for repeat in repeats for key in repeat.utterances})
    utterances = training + development + test
    features = [store.load(utterances) for store in cell.stores]
    tokens_without_time = [fraction_without_times(each) for each in features]
    models = [trial.model for trial in trials]
    if any(isinstance(model, AlignedFusionSettings) and model.within_word for model in models):
        check_word_times(cell.stores[1], tokens_without_time[1])
    return PreparedCell(
        cell,
        device,
        sorted(fold["label"].unique()),
        trials,
        repeats,
        development,
        test,
        [shape_of(store) for store in cell.stores],
        CellFeatures(
            utterances,
            features,
            device,
            input_normalisations(normalisation, cell.stores, utterances, device),
        ),
        tokens_without_time,
    )


def _check_no_selection(trials: Sequence[Trial]) -> None:
    """Raise `ConfigurationError` if a trial or a step would be selected on development data.

    An estimator checks its values of C itself.
    """
    cause = "the fold has no development set, so no"
    if len(trials) > 1:
        raise ConfigurationError(
            f"{cause} trial of the search can be selected; remove the experiment's search"
        )
    (trial,) = trials
    if trial.model.kind != "estimator" and trial.training.early_stopping:
        raise ConfigurationError(
            f"{cause} step can be selected; set training.early_stopping to false"
        )


def shape_of(store: FeatureStore) -> InputShape:
    """Return the shape of a representation as input of a model.

    Parameters
    ----------
    store : FeatureStore
        Features of the representation.

    Returns
    -------
    InputShape
        Dimension, layers and frame rate.
    """
    layers = len(store.layers) if store.has_layer_axis else None
    return InputShape(store.dimension, layers, store.frame_rate)
