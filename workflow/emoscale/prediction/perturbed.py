"""Predictions of a trained run for its test utterances under perturbed conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl
import torch

from emoscale.config.robustness import CLEAN
from emoscale.runtime.devices import use_deterministic_algorithms
from emoscale.runtime.errors import StoreError
from emoscale.store.index import FeatureStore
from emoscale.tables.schemas import perturbed_schema
from emoscale.training.cell_features import CellFeatures
from emoscale.training.normalisation import input_normalisations
from emoscale.training.prepared_cell import shape_of
from emoscale.training.saved_run import SavedRun


def predict_conditions(
    run: SavedRun,
    fold: pl.DataFrame,
    clean: Sequence[FeatureStore],
    perturbed: Mapping[str, Sequence[FeatureStore]],
    device: torch.device,
) -> pl.DataFrame:
    """Predict the test utterances of a fold under the clean and every perturbed condition.

    Parameters
    ----------
    run : SavedRun
        The run.
    fold : DataFrame
        The fold's table.
    clean : sequence of FeatureStore
        Features that the run was trained on, one store per input.
    perturbed : mapping of str to sequence of FeatureStore
        Features of each perturbed condition, one store per input; those of an input that is not
        audio are the clean ones. A run that normalises by speaker normalises perturbed features by
        the perturbed recordings of the speaker.
    device : torch.device
        Device of the computation.

    Returns
    -------
    DataFrame
        Predictions (schema `tables.schemas.perturbed_schema`); the first condition is `clean`.

    Raises
    ------
    StoreError
        If the clean features are not those that the run was trained on, or perturbed features were
        extracted with other settings or weights.
    """
    sha256s = [store.sha256 for store in clean]
    if sha256s != [record.features_sha256 for record in run.inputs]:
        raise StoreError(
            f"{run.folder}: was trained on other features than those that "
            f"{', '.join(str(store.path) for store in clean)} holds now; train it again"
        )
    use_deterministic_algorithms(device)  # as in the training, whose predictions are the clean ones
    test = fold.filter(pl.col("role") == "test").select("utterance", "label")
    tables = []
    for condition, stores in {CLEAN: clean, **perturbed}.items():
        for store, clean_store in zip(stores, clean, strict=True):
            _check_extraction(store, clean_store)
        predictions = _predictions(run, test, stores, device)
        tables.append(predictions.select(pl.lit(condition).alias("condition"), "*"))
    return pl.concat(tables).select(perturbed_schema(run.classes).names)


def _check_extraction(perturbed: FeatureStore, clean: FeatureStore) -> None:
    """Raise `StoreError` if more than the audio differs."""
    same = perturbed.description() == clean.description()
    if not same or shape_of(perturbed) != shape_of(clean):
        raise StoreError(
            f"{perturbed.path}: was extracted with other settings or weights than {clean.path}; "
            "remove it and run again"
        )


def _predictions(
    run: SavedRun, test: pl.DataFrame, stores: Sequence[FeatureStore], device: torch.device
) -> pl.DataFrame:
    """Predict under one condition, whose features are released at the end."""
    keys = test["utterance"].to_list()
    cell_features = CellFeatures(
        keys,
        [store.load(keys) for store in stores],
        device,
        input_normalisations(run.normalisation, stores, keys, device),
    )
    tables = []
    for repeat in run.repeats:
        probabilities = run.probabilities(cell_features, cell_features.indices(keys), [repeat])
        tables.append(
            test.with_columns(
                pl.lit(repeat.number, dtype=pl.Int32).alias("repeat"),
                pl.Series(
                    "predicted", [run.classes[each] for each in probabilities.argmax(axis=1)]
                ),
                *(
                    pl.Series(f"p_{name}", probabilities[:, index])
                    for index, name in enumerate(run.classes)
                ),
            )
        )
    return pl.concat(tables)
