"""Finished trainings are cached: what is run again trains only what is new, with equal numbers."""

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
from emoscale.config.training import CellSettings
from emoscale.protocol.orders import make_fold
from emoscale.store import FeatureStore
from emoscale.training.cache import FOLDER, TrainingCache
from emoscale.training.cell import Done, train_cell
from emoscale.training.prepared_cell import Cell
from emoscale.training.run_record import read_run_record
from emoscale.training.tasks import Trained
from tests.training.test_cell import FIXED, MODEL, NAME, TRAINING, corpus
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
    code: str = "code",
) -> Done:
    """As a rule runs it: its outputs are removed first."""
    for name in OUTPUTS:
        (folder / name).unlink(missing_ok=True)
    cell = Cell(NAME, settings, fold, [store], code, str(fold.hash_rows().sum()))
    return train_cell(cell, folder, torch.device("cpu"))


def done(cached: int, trained: int) -> Done:
    return Done(cached, trained, [])


def files_of(folder: Path) -> list[Path]:
    return sorted((folder / FOLDER).iterdir())


def same(one: Path, other: Path) -> None:
    """All numbers, and all that is said of them but times."""
    for name in OUTPUTS[:3]:
        assert (one / name).read_bytes() == (other / name).read_bytes()
    runs = [json.loads((folder / "run.json").read_text())["repeats"] for folder in (one, other)]
    for repeat in (each for run in runs for each in run):
        for trial in repeat["trials"]:
            trial.pop("seconds")
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    ("settings", "trials"),
    [(SETTINGS, 1), (SEARCHED, 2), (ESTIMATOR, 1)],
    ids=["network", "search", "estimator"],
)
def test_one_more_repeat_trains_only_itself(
    store: FeatureStore, tmp_path: Path, settings: CellSettings, trials: int
) -> None:
    grown, whole = tmp_path / "grown", tmp_path / "whole"
    assert train(grown, store, fold_of(2), settings) == done(0, 2 * trials)
    assert train(grown, store, fold_of(3), settings) == done(2 * trials, trials)
    assert train(whole, store, fold_of(3), settings) == done(0, 3 * trials)
    same(grown, whole)
    assert train(grown, store, fold_of(3), settings) == done(3 * trials, 0)
    same(grown, whole)
    run = read_run_record(grown / "run.json")
    assert run.seconds >= sum(trial.seconds for each in run.repeats for trial in each.trials)


def test_fewer_repeats_train_nothing_and_leave_nothing_of_the_others(
    store: FeatureStore, tmp_path: Path
) -> None:
    assert train(tmp_path / "shrunk", store, fold_of(3)) == done(0, 3)
    assert train(tmp_path / "shrunk", store, fold_of(2)) == done(2, 0)
    assert train(tmp_path / "whole", store, fold_of(2)) == done(0, 2)
    same(tmp_path / "shrunk", tmp_path / "whole")
    names = [[path.name for path in files_of(tmp_path / each)] for each in ("shrunk", "whole")]
    assert names[0] == names[1]


def test_what_learns_from_others_is_trained_again(store: FeatureStore, tmp_path: Path) -> None:
    """With two seeds an order, the second repeat has the order of the first."""
    grown, whole = tmp_path / "grown", tmp_path / "whole"
    assert train(grown, store, fold_of(4)) == done(0, 4)
    assert train(grown, store, fold_of(4, seeds_per_order=2)) == done(1, 3)
    assert train(whole, store, fold_of(4, seeds_per_order=2)) == done(0, 4)
    same(grown, whole)


def test_a_larger_grid_trains_only_its_new_trials(store: FeatureStore, tmp_path: Path) -> None:
    """Wherever the new values stand among the old."""
    grown, whole = tmp_path / "grown", tmp_path / "whole"
    larger = {"training.learning_rate": [0.1, 0.01, 0.03], "model.dropout": [0.3, 0.0]}
    more = SEARCHED.model_copy(update={"search": larger})
    assert train(grown, store, fold_of(2), SEARCHED) == done(0, 4)
    assert train(grown, store, fold_of(2), more) == done(4, 8)
    assert train(whole, store, fold_of(2), more) == done(0, 12)
    same(grown, whole)
    assert train(grown, store, fold_of(2), SEARCHED) == done(4, 0)


class KilledError(Exception):
    """In place of a signal."""


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_cell_that_is_killed_repeats_at_most_the_training_under_way(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """As soon as a training has ended it is there, whatever happens to those after it."""
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    original = TrainingCache.put

    def put(self: TrainingCache, identity: str, trained: Trained) -> None:
        if len(list(killed.glob(f"{FOLDER}/*"))) == after:
            raise KilledError  # before the training that has just ended is saved
        original(self, identity, trained)

    monkeypatch.setattr(TrainingCache, "put", put)
    with pytest.raises(KilledError):
        train(killed, store, fold_of(2), SEARCHED)
    assert not (killed / "run.json").exists()
    monkeypatch.undo()
    assert train(killed, store, fold_of(2), SEARCHED) == done(after, 4 - after)
    assert train(whole, store, fold_of(2), SEARCHED) == done(0, 4)
    same(killed, whole)


@pytest.mark.parametrize(
    "change",
    [
        {"fold": fold_of(2, shuffle_labels=True)},
        {"fold": fold_of(2, development="random")},
        {"settings": SETTINGS.model_copy(update={"seed": 4})},
        {"settings": SETTINGS.model_copy(update={"model": MODEL})},
        {"settings": SETTINGS.model_copy(update={"training": TRAINING})},
        {"code": "other code"},
    ],
    ids=["labels", "development", "seed", "model", "training", "code"],
)
def test_what_decides_the_numbers_trains_again(
    store: FeatureStore, tmp_path: Path, change: dict[str, Any]
) -> None:
    train(tmp_path, store, fold_of(2))
    assert train(tmp_path, store, **{"fold": fold_of(2), **change}) == done(0, 2)


@pytest.mark.parametrize(("attribute", "other"), [("sha256", "other"), ("frame_rate", 50.0)])
def test_other_features_train_again(
    store: FeatureStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    attribute: str,
    other: object,
) -> None:
    train(tmp_path, store, fold_of(2))
    monkeypatch.setattr(store, attribute, other)
    assert train(tmp_path, store, fold_of(2)) == done(0, 2)


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

    assert train(tmp_path, store, relabelled(tested)) == done(2, 0)  # it is only compared with
    assert train(tmp_path, store, relabelled(learned)) == done(0, 2)


def test_another_number_of_threads_trains_again(store: FeatureStore, tmp_path: Path) -> None:
    train(tmp_path, store, fold_of(2))
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        assert train(tmp_path, store, fold_of(2)) == done(0, 2)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("fixed", [False, True], ids=["network", "without development"])
def test_a_damaged_file_is_named_and_that_training_done_again(
    store: FeatureStore, tmp_path: Path, fixed: bool
) -> None:
    settings = SETTINGS.model_copy(update={"training": FIXED}) if fixed else SETTINGS
    fold = fold_of(2, development="none") if fixed else fold_of(2)
    train(tmp_path, store, fold, settings)
    path, other = files_of(tmp_path)
    whole = path.read_bytes()
    predictions = (tmp_path / "predictions.parquet").read_bytes()
    middle = bytearray(whole)
    middle[-5] ^= 16  # in a weight: only the digest tells
    changed = whole.replace(b'best_step\\":', b'best_step\\":1', 1)
    for damaged in (bytes(middle), changed, whole[:-9], whole[:40], b"", other.read_bytes()):
        assert damaged != whole
        path.write_bytes(damaged)
        assert train(tmp_path, store, fold, settings) == Done(1, 1, [path])
        assert (tmp_path / "predictions.parquet").read_bytes() == predictions
        assert train(tmp_path, store, fold, settings) == done(2, 0)


def test_another_file_of_tensors_is_damage(store: FeatureStore, tmp_path: Path) -> None:
    train(tmp_path, store, fold_of(2))
    paths = files_of(tmp_path)
    for path in paths:
        save_file(load_file(path), path)
    found = train(tmp_path, store, fold_of(2))
    assert (found.cached, found.trained, sorted(found.damaged)) == (0, 2, paths)
