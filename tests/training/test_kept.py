"""One more repeat trains only itself, and ends with the numbers of all repeats trained at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file

from emoscale.config.models import EstimatorSettings
from emoscale.config.protocol import ProtocolSettings
from emoscale.protocol.orders import make_fold
from emoscale.store import FeatureStore
from emoscale.training.cell import CellSettings, Done, train_cell
from emoscale.training.kept import KEPT
from tests.training.test_cell import CELL, FIXED, MODEL, TRAINING, corpus
from tests.training.test_cell import store as _store

store = _store  # a fixture of the same features

OUTPUTS = ("predictions.parquet", "history.parquet", "model.safetensors", "run.json")
SETTINGS = CellSettings(
    model=MODEL.model_copy(update={"dropout": 0.3}),
    training=TRAINING.model_copy(update={"class_balance": "sampling"}),
    seed=3,
)
SEARCHED = SETTINGS.model_copy(update={"search": {"training.learning_rate": [0.01, 0.03]}})
ESTIMATOR = CellSettings(
    model=EstimatorSettings(kind="estimator", method="linear_svm"), training=TRAINING, seed=3
)


def fold_of(repeats: int, seeds_per_order: int = 1, **changes: Any) -> pl.DataFrame:
    protocol = ProtocolSettings(
        fold_unit="session", folds=3, repeats=repeats, seeds_per_order=seeds_per_order, **changes
    )
    return make_fold(corpus(), protocol, 0, seed=1)


def train(
    folder: Path,
    store: FeatureStore,
    fold: pl.DataFrame,
    settings: CellSettings = SETTINGS,
    **origin: str,
) -> Done:
    """As a rule runs it: its outputs are removed first."""
    for name in OUTPUTS:
        (folder / name).unlink(missing_ok=True)
    made = {"protocol_sha256": str(fold.hash_rows().sum()), "code_sha256": "code", **origin}
    return train_cell(CELL, settings, fold, [store], folder, torch.device("cpu"), made)


def kept(repeats: int, trained: int, damaged: bool = False) -> Done:
    return Done(repeats, trained, damaged)


def same(one: Path, other: Path) -> None:
    """All numbers, and all that is said of them but times and who did them."""
    for name in OUTPUTS[:3]:
        assert (one / name).read_bytes() == (other / name).read_bytes()
    runs = [json.loads((folder / "run.json").read_text())["repeats"] for folder in (one, other)]
    for repeat in (each for run in runs for each in run):
        for timed in (repeat, *repeat["trials"]):
            timed.pop("seconds")
        repeat.pop("kept")
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    "settings", [SETTINGS, SEARCHED, ESTIMATOR], ids=["network", "search", "estimator"]
)
def test_one_more_repeat_trains_only_itself(
    store: FeatureStore, tmp_path: Path, settings: CellSettings
) -> None:
    grown, whole = tmp_path / "grown", tmp_path / "whole"
    assert train(grown, store, fold_of(2), settings) == kept(0, 2)
    assert train(grown, store, fold_of(3), settings) == kept(2, 1)
    assert train(whole, store, fold_of(3), settings) == kept(0, 3)
    same(grown, whole)
    run = json.loads((grown / "run.json").read_text())
    assert [each["kept"] for each in run["repeats"]] == [True, True, False]
    assert run["seconds"] >= sum(each["seconds"] for each in run["repeats"])


def test_fewer_repeats_train_nothing(store: FeatureStore, tmp_path: Path) -> None:
    assert train(tmp_path / "shrunk", store, fold_of(3)) == kept(0, 3)
    assert train(tmp_path / "shrunk", store, fold_of(2)) == kept(2, 0)
    assert train(tmp_path / "whole", store, fold_of(2)) == kept(0, 2)
    same(tmp_path / "shrunk", tmp_path / "whole")


def test_what_learns_from_others_is_trained_again(store: FeatureStore, tmp_path: Path) -> None:
    """With two seeds an order, the second repeat has the order of the first."""
    grown, whole = tmp_path / "grown", tmp_path / "whole"
    assert train(grown, store, fold_of(4)) == kept(0, 4)
    assert train(grown, store, fold_of(4, seeds_per_order=2)) == kept(1, 3)
    assert train(whole, store, fold_of(4, seeds_per_order=2)) == kept(0, 4)
    same(grown, whole)


@pytest.mark.parametrize(
    "change",
    [
        {"fold": fold_of(2, shuffle_labels=True)},
        {"fold": fold_of(2, development="random")},
        {"settings": SETTINGS.model_copy(update={"seed": 4})},
        {"code_sha256": "other code"},
        {"features_sha256": "other features"},
        {"settings_sha256": "other settings"},
    ],
    ids=["labels", "development", "seed", "code", "features", "settings"],
)
def test_what_decides_the_numbers_trains_again(
    store: FeatureStore, tmp_path: Path, change: dict[str, Any]
) -> None:
    train(tmp_path, store, fold_of(2))
    assert train(tmp_path, store, **{"fold": fold_of(2), **change}) == kept(0, 2)


def test_other_labels_of_the_same_utterances_train_again(
    store: FeatureStore, tmp_path: Path
) -> None:
    fold = fold_of(2)
    train(tmp_path, store, fold)
    learned = fold.filter(pl.col("role") == "train")["utterance"][0]
    tested = fold.filter(pl.col("role") == "test")["utterance"][0]
    others = {"anger": "joy", "joy": "neutral", "neutral": "anger"}

    def relabelled(utterance: str) -> pl.DataFrame:
        other = pl.col("label").replace_strict(others)
        is_it = pl.col("utterance") == utterance
        return fold.with_columns(label=pl.when(is_it).then(other).otherwise("label"))

    assert train(tmp_path, store, relabelled(tested)) == kept(2, 0)  # it is only compared with
    assert train(tmp_path, store, relabelled(learned)) == kept(0, 2)


def test_another_trial_trains_the_whole_search_again(store: FeatureStore, tmp_path: Path) -> None:
    train(tmp_path, store, fold_of(2), SEARCHED, settings_sha256="two")
    more = SEARCHED.model_copy(update={"search": {"training.learning_rate": [0.01, 0.03, 0.1]}})
    assert train(tmp_path, store, fold_of(2), more, settings_sha256="three") == kept(0, 2)


def test_another_number_of_threads_trains_again(store: FeatureStore, tmp_path: Path) -> None:
    train(tmp_path, store, fold_of(2))
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        assert train(tmp_path, store, fold_of(2)) == kept(0, 2)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("fixed", [False, True], ids=["network", "without development"])
def test_damage_is_found_and_trained_again(
    store: FeatureStore, tmp_path: Path, fixed: bool
) -> None:
    settings = SETTINGS.model_copy(update={"training": FIXED}) if fixed else SETTINGS
    fold = fold_of(2, development="none") if fixed else fold_of(2)
    train(tmp_path, store, fold, settings)
    whole = (tmp_path / KEPT).read_bytes()
    predictions = (tmp_path / "predictions.parquet").read_bytes()
    middle = bytearray(whole)
    middle[-5] ^= 16  # in a weight: only the digest tells
    changed = whole.replace(b'best_step\\":', b'best_step\\":1', 1)
    for damaged in (bytes(middle), changed, whole[:-9], whole[:40], b""):
        assert damaged != whole
        (tmp_path / KEPT).write_bytes(damaged)
        assert train(tmp_path, store, fold, settings) == kept(0, 2, damaged=True)
        assert (tmp_path / "predictions.parquet").read_bytes() == predictions
        assert train(tmp_path, store, fold, settings) == kept(2, 0)


def test_another_file_of_tensors_is_damage(store: FeatureStore, tmp_path: Path) -> None:
    train(tmp_path, store, fold_of(2))
    save_file(load_file(tmp_path / KEPT), tmp_path / KEPT)
    assert train(tmp_path, store, fold_of(2)) == kept(0, 2, damaged=True)
