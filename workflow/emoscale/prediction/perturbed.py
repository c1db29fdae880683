"""What a trained run says about its test utterances when they are heard otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl
import torch

from emoscale.config.robustness import CLEAN
from emoscale.runtime.errors import StoreError
from emoscale.store.index import FeatureStore
from emoscale.store.memory_budget import MemoryBudget
from emoscale.tables.schemas import perturbed_schema
from emoscale.training.cell_features import CellFeatures
from emoscale.training.prepared_cell import shape_of
from emoscale.training.saved_run import SavedRepeat, SavedRun


def predict_conditions(
    run: SavedRun,
    fold: pl.DataFrame,
    clean: Sequence[FeatureStore],
    perturbed: Mapping[str, Sequence[FeatureStore]],
    device: torch.device,
    memory_bytes: int | None = None,
) -> pl.DataFrame:
    """Predictions of the fold's test utterances under each condition (`tables.perturbed_schema`).

    `clean` are the stores of the run's inputs, in its order, and `perturbed` those of each
    condition, where an input that is not audio stays as it is. The first condition is `clean`.
    Raises `StoreError` where the features are not those that the run was trained on, or changed
    features were made in another way.
    """
    found = [store.sha256 for store in clean]
    if found != [each.features_sha256 for each in run.inputs]:
        raise StoreError(
            f"{run.folder}: was trained on other features than "
            f"{', '.join(str(store.path) for store in clean)} holds now; train it again"
        )
    tested = fold.filter(pl.col("role") == "test").select("utterance", "label")
    tables = []
    keys = tested["utterance"].to_list()
    for condition, stores in {CLEAN: clean, **perturbed}.items():
        for store, as_trained in zip(stores, clean, strict=True):
            _check_same(store, as_trained)
        budget = MemoryBudget(memory_bytes)
        cell_features = CellFeatures(keys, [store.load(keys, budget) for store in stores], device)
        tables += [
            _answers(run, repeat, cell_features, tested).select(
                pl.lit(condition).alias("condition"), "*"
            )
            for repeat in run.repeats
        ]
    return pl.concat(tables).select(perturbed_schema(run.classes).names)


def _check_same(perturbed: FeatureStore, clean: FeatureStore) -> None:
    """That nothing but the audio differs."""
    same = perturbed.description() == clean.description()
    if not same or shape_of(perturbed) != shape_of(clean):
        raise StoreError(
            f"{perturbed.path}: was extracted with other settings or weights than {clean.path}; "
            "remove it and run again"
        )


def _answers(
    run: SavedRun, repeat: SavedRepeat, cell_features: CellFeatures, tested: pl.DataFrame
) -> pl.DataFrame:
    places = cell_features.indices(tested["utterance"].to_list())
    probabilities = run.probabilities(cell_features, places, [repeat])
    return tested.with_columns(
        pl.lit(repeat.number, dtype=pl.Int32).alias("repeat"),
        pl.Series("predicted", [run.classes[place] for place in probabilities.argmax(axis=1)]),
        *(
            pl.Series(f"p_{name}", probabilities[:, place])
            for place, name in enumerate(run.classes)
        ),
    )
