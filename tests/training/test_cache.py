"""Cache of finished trainings: a repeated job trains only what has changed, with equal numbers."""

from __future__ import annotations

import errno
import importlib.metadata
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
from emoscale.store.index import FeatureStore
from emoscale.training.cache import CACHE_FOLDER, TrainingCache, execution_environment
from emoscale.training.cell import CellSummary, train_cell
from emoscale.training.prepared_cell import Cell
from emoscale.training.run_record import read_run_record
from emoscale.training.tasks import TrainedModel
from tests.training.test_cell import FIXED, MODEL, NAME, TRAINING, corpus
from tests.training.test_cell import store as _store

store = _store  # a fixture, under its name

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
) -> CellSummary:
    """Train a cell after removing the outputs, as Snakemake does."""
    for name in OUTPUTS:
        (folder / name).unlink(missing_ok=True)
    cell = Cell(NAME, settings, fold, [store], code, str(fold.hash_rows().sum()))
    return train_cell(cell, folder, torch.device("cpu"))


def undamaged(cached: int, trained: int) -> CellSummary:
    return CellSummary(cached, trained, [])


def cached_files(folder: Path) -> list[Path]:
    return sorted((folder / CACHE_FOLDER).iterdir())


def assert_equal_runs(first: Path, second: Path) -> None:
    """Compare all outputs but the times in the record."""
    for name in OUTPUTS[:3]:
        assert (first / name).read_bytes() == (second / name).read_bytes()
    runs = [json.loads((folder / "run.json").read_text())["repeats"] for folder in (first, second)]
    for repeat in (repeat for run in runs for repeat in run):
        for trial in repeat["trials"]:
            trial.pop("seconds")
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    ("settings", "trials"),
    [(SETTINGS, 1), (SEARCHED, 2), (ESTIMATOR, 1)],
    ids=["network", "search", "estimator"],
)
def test_an_additional_repeat_trains_only_itself(
    store: FeatureStore, tmp_path: Path, settings: CellSettings, trials: int
) -> None:
    grown, whole = tmp_path / "grown", tmp_path / "whole"
    assert train(grown, store, fold_of(2), settings) == undamaged(0, 2 * trials)
    assert train(grown, store, fold_of(3), settings) == undamaged(2 * trials, trials)
    assert train(whole, store, fold_of(3), settings) == undamaged(0, 3 * trials)
    assert_equal_runs(grown, whole)
    assert train(grown, store, fold_of(3), settings) == undamaged(3 * trials, 0)
    assert_equal_runs(grown, whole)
    run = read_run_record(grown / "run.json")
    assert (run.device, run.versions["scipy"]) == ("cpu", importlib.metadata.version("scipy"))
    assert run.seconds >= sum(trial.seconds for repeat in run.repeats for trial in repeat.trials)


def test_fewer_repeats_train_nothing_and_prune_the_cache(
    store: FeatureStore, tmp_path: Path
) -> None:
    assert train(tmp_path / "shrunk", store, fold_of(3)) == undamaged(0, 3)
    assert train(tmp_path / "shrunk", store, fold_of(2)) == undamaged(2, 0)
    assert train(tmp_path / "whole", store, fold_of(2)) == undamaged(0, 2)
    assert_equal_runs(tmp_path / "shrunk", tmp_path / "whole")
    names = [[path.name for path in cached_files(tmp_path / run)] for run in ("shrunk", "whole")]
    assert names[0] == names[1]


def test_a_repeat_with_another_order_is_trained_again(store: FeatureStore, tmp_path: Path) -> None:
    """With two seeds per order, the second repeat has the order of the first."""
    grown, whole = tmp_path / "grown", tmp_path / "whole"
    assert train(grown, store, fold_of(4)) == undamaged(0, 4)
    assert train(grown, store, fold_of(4, seeds_per_order=2)) == undamaged(1, 3)
    assert train(whole, store, fold_of(4, seeds_per_order=2)) == undamaged(0, 4)
    assert_equal_runs(grown, whole)


def test_a_larger_grid_trains_only_its_new_trials(store: FeatureStore, tmp_path: Path) -> None:
    """New values may be anywhere in the list."""
    grown, whole = tmp_path / "grown", tmp_path / "whole"
    larger = {"training.learning_rate": [0.1, 0.01, 0.03], "model.dropout": [0.3, 0.0]}
    extended = SEARCHED.model_copy(update={"search": larger})
    assert train(grown, store, fold_of(2), SEARCHED) == undamaged(0, 4)
    assert train(grown, store, fold_of(2), extended) == undamaged(4, 8)
    assert train(whole, store, fold_of(2), extended) == undamaged(0, 12)
    assert_equal_runs(grown, whole)
    assert train(grown, store, fold_of(2), SEARCHED) == undamaged(4, 0)


class KilledError(Exception):
    """Raised in place of a signal."""


@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_killed_job_loses_at_most_its_current_training(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """Each training is saved as soon as it is finished."""
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    original = TrainingCache.put

    def put(self: TrainingCache, identity: str, trained: TrainedModel) -> None:
        if len(list(killed.glob(f"{CACHE_FOLDER}/*"))) == after:
            raise KilledError  # before the finished training is saved
        original(self, identity, trained)

    monkeypatch.setattr(TrainingCache, "put", put)
    with pytest.raises(KilledError):
        train(killed, store, fold_of(2), SEARCHED)
    assert not (killed / "run.json").exists()
    monkeypatch.undo()
    assert train(killed, store, fold_of(2), SEARCHED) == undamaged(after, 4 - after)
    assert train(whole, store, fold_of(2), SEARCHED) == undamaged(0, 4)
    assert_equal_runs(killed, whole)


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
def test_changed_inputs_are_trained_again(
    store: FeatureStore, tmp_path: Path, change: dict[str, Any]
) -> None:
    train(tmp_path, store, fold_of(2))
    assert train(tmp_path, store, **{"fold": fold_of(2), **change}) == undamaged(0, 2)


def test_another_model_of_gpu_is_another_training(monkeypatch: pytest.MonkeyPatch) -> None:
    environments = []
    for name in ("NVIDIA L4", "NVIDIA T4"):
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device, name=name: name)
        environments.append(execution_environment(torch.device("cuda")))
    assert [each.pop("device") for each in environments] == ["cuda (NVIDIA L4)", "cuda (NVIDIA T4)"]
    assert environments[0] == environments[1]
    assert {"scipy", "scikit-learn", "torch"} < set(environments[0]["versions"])


@pytest.mark.parametrize(("attribute", "value"), [("sha256", "other"), ("frame_rate", 50.0)])
def test_changed_features_are_trained_again(
    store: FeatureStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    attribute: str,
    value: object,
) -> None:
    train(tmp_path, store, fold_of(2))
    monkeypatch.setattr(store, attribute, value)
    assert train(tmp_path, store, fold_of(2)) == undamaged(0, 2)


def test_changed_training_labels_are_trained_again(store: FeatureStore, tmp_path: Path) -> None:
    fold = fold_of(2)
    train(tmp_path, store, fold)
    training = fold.filter(pl.col("role") == "train")["utterance"][0]
    test = fold.filter(pl.col("role") == "test")["utterance"][0]
    next_class = {"anger": "joy", "joy": "neutral", "neutral": "anger"}

    def relabelled(utterance: str) -> pl.DataFrame:
        label = pl.col("label").replace_strict(next_class)
        selected = pl.col("utterance") == utterance
        return fold.with_columns(label=pl.when(selected).then(label).otherwise("label"))

    assert train(tmp_path, store, relabelled(test)) == undamaged(2, 0)  # affects scores only
    assert train(tmp_path, store, relabelled(training)) == undamaged(0, 2)


def test_another_number_of_threads_is_trained_again(store: FeatureStore, tmp_path: Path) -> None:
    train(tmp_path, store, fold_of(2))
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        assert train(tmp_path, store, fold_of(2)) == undamaged(0, 2)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("fixed", [False, True], ids=["network", "without development"])
def test_a_damaged_file_is_reported_and_its_training_repeated(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fixed: bool
) -> None:
    monkeypatch.setattr(TrainingCache, "share", lambda *_: None)
    settings = SETTINGS.model_copy(update={"training": FIXED}) if fixed else SETTINGS
    fold = fold_of(2, development="none") if fixed else fold_of(2)
    train(tmp_path, store, fold, settings)
    path, other = cached_files(tmp_path)
    whole = path.read_bytes()
    predictions = (tmp_path / "predictions.parquet").read_bytes()
    middle = bytearray(whole)
    middle[-5] ^= 16  # in a weight, where only the digest reveals it
    changed = whole.replace(b'best_step\\":', b'best_step\\":1', 1)
    for damaged in (bytes(middle), changed, whole[:-9], whole[:40], b"", other.read_bytes()):
        assert damaged != whole
        path.write_bytes(damaged)
        assert train(tmp_path, store, fold, settings) == CellSummary(1, 1, [path])
        assert (tmp_path / "predictions.parquet").read_bytes() == predictions
        assert train(tmp_path, store, fold, settings) == undamaged(2, 0)


def test_the_weights_of_a_finished_run_are_stored_once(store: FeatureStore, tmp_path: Path) -> None:
    """Only trials that were not selected have files of their own."""
    for repeats, cached in ((2, 0), (3, 4), (3, 6), (2, 4)):
        summary = train(tmp_path, store, fold_of(repeats), SEARCHED)
        assert summary == undamaged(cached, max(0, 2 * repeats - cached))
        weights = (tmp_path / "model.safetensors").stat()
        by_suffix: dict[str, list[Path]] = {}
        for path in cached_files(tmp_path):
            by_suffix.setdefault(path.suffix, []).append(path)
        assert {suffix: len(paths) for suffix, paths in by_suffix.items()} == {
            ".json": repeats,
            ".run": 1,
            ".safetensors": repeats,
        }
        assert by_suffix[".run"][0].stat().st_ino == weights.st_ino
        assert weights.st_nlink == 2


def test_damaged_weights_of_a_finished_run_are_trained_again(
    store: FeatureStore, tmp_path: Path
) -> None:
    train(tmp_path, store, fold_of(2))
    predictions = (tmp_path / "predictions.parquet").read_bytes()
    (link,), references = (sorted(tmp_path.glob(f"{CACHE_FOLDER}/*.{s}")) for s in ("run", "json"))
    whole, metadata = link.read_bytes(), references[0].read_bytes()
    middle = bytearray(whole)
    middle[-5] ^= 16  # in the last weight of one repeat
    for path, content, number in (
        (link, bytes(middle), 1),
        (link, whole[:40], 2),
        (link, None, 2),
        (references[0], metadata.replace(b"best_step", b"worst_step"), 1),
        (references[0], b"[]", 1),
        (references[0], b"\xff", 1),
        (references[0], references[1].read_bytes(), 1),
    ):
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        summary = train(tmp_path, store, fold_of(2))
        assert (summary.cached, summary.trained) == (2 - number, number), (path, content)
        assert set(summary.damaged) <= set(references)
        assert len(summary.damaged) == number
        assert (tmp_path / "predictions.parquet").read_bytes() == predictions
        assert train(tmp_path, store, fold_of(2)) == undamaged(2, 0)


def test_without_hard_links_every_training_has_its_file(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    train(tmp_path, store, fold_of(2))
    assert {path.suffix for path in cached_files(tmp_path)} == {".safetensors"}
    assert train(tmp_path, store, fold_of(2)) == undamaged(2, 0)


def test_a_file_without_metadata_is_reported_as_damaged(
    store: FeatureStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TrainingCache, "share", lambda *_: None)
    train(tmp_path, store, fold_of(2))
    paths = cached_files(tmp_path)
    for path in paths:
        save_file(load_file(path), path)
    summary = train(tmp_path, store, fold_of(2))
    assert (summary.cached, summary.trained, sorted(summary.damaged)) == (0, 2, paths)
