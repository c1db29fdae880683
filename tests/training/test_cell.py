"""Training of whole cells: with votes, with and without a development set, with a search."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from emoscale.config.models import AlignedFusionSettings, EstimatorSettings, PooledSettings
from emoscale.config.protocol import ProtocolSettings
from emoscale.config.training import CellSettings, TrainingSettings
from emoscale.corpus.votes import VOTE_SHARES_DTYPE
from emoscale.protocol.orders import make_fold
from emoscale.runtime import progress
from emoscale.runtime.errors import UserError
from emoscale.store.index import FeatureStore, index_shards
from emoscale.store.shard import ShardHeader
from emoscale.store.writer import write_shard
from emoscale.tables.parquet import read_table
from emoscale.tables.schemas import HISTORY, predictions_schema
from emoscale.training.cell import train_cell
from emoscale.training.prepared_cell import Cell
from emoscale.training.run_record import CellName, RunRecord, read_run_record

CLASSES = ["anger", "joy", "neutral"]
DIMENSION = 4
MODEL = PooledSettings(kind="pooled", projection_size=8)
TRAINING = TrainingSettings(
    learning_rate=0.01,
    batch_size=8,
    maximum_steps=60,
    steps_between_evaluations=20,
    patience=1,
)
FIXED = TRAINING.model_copy(update={"early_stopping": False})
NAME = CellName("pooled", "fold1", "all")


def corpus(votes: bool = True) -> pl.DataFrame:
    """Return 54 utterances of three sessions, each with two of three votes for its label."""
    rows = [
        {
            "utterance": f"s{session}{number:02d}",
            "session": f"s{session}",
            "speaker": f"s{session}{'FM'[number % 2]}",
            "sex": "FM"[number % 2],
            "label": CLASSES[number % 3],
            "vote_shares": [
                {"label": CLASSES[number % 3], "share": 2 / 3},
                {"label": CLASSES[(number + 1) % 3], "share": 1 / 3},
            ]
            if votes
            else None,
        }
        for session in range(3)
        for number in range(18)
    ]
    return pl.DataFrame(rows, schema_overrides={"vote_shares": VOTE_SHARES_DTYPE})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """Random features; each class shifts the mean of one dimension."""
    folder = tmp_path_factory.mktemp("shifts")
    random = np.random.default_rng(0)
    table = corpus()
    frames = [
        random.normal(size=(int(random.integers(3, 9)), DIMENSION))
        + 2.0 * np.eye(DIMENSION)[CLASSES.index(label)]
        for label in table["label"]
    ]
    header = ShardHeader('{"kind":"mfcc"}', DIMENSION, 100.0, "code", "rows")
    write_shard(folder / "00.h5", header, table["utterance"].to_list(), frames, "float32")
    index_shards([folder / "00.h5"], folder / "index.parquet")
    return FeatureStore(folder / "index.parquet")


def fold_of(development: Any, votes: bool = True, shuffle: bool = False) -> pl.DataFrame:
    protocol = ProtocolSettings(
        fold_unit="session",
        folds=3,
        development=development,
        repeats=2,
        shuffle_labels=shuffle,
    )
    return make_fold(corpus(votes), protocol, 0, seed=1)


def train(
    store: FeatureStore,
    folder: Path,
    fold: pl.DataFrame,
    training: TrainingSettings = TRAINING,
    model: Any = MODEL,
    search: dict[str, list[Any]] | None = None,
) -> tuple[RunRecord, pl.DataFrame]:
    """Train a cell and return its record and history."""
    settings = CellSettings(model=model, training=training, search=search or {}, seed=3)
    cell = Cell(NAME, settings, fold, [store], "code", "protocol")
    train_cell(cell, folder, torch.device("cpu"))
    return read_run_record(folder / "run.json"), read_table(folder / "history.parquet", HISTORY)


def predictions_of(folder: Path) -> pl.DataFrame:
    return read_table(folder / "predictions.parquet", predictions_schema(CLASSES))


def accuracy(folder: Path) -> float:
    table = predictions_of(folder)
    return float(np.mean((table["label"] == table["predicted"]).to_numpy()))


def values(table: pl.DataFrame, column: str, **constraints: int | str) -> NDArray[np.float64]:
    """Return a column of the rows that match the constraints."""
    return table.filter(**constraints)[column].to_numpy().astype(np.float64)


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_targets_are_votes_and_test_labels_are_the_majority(
    store: FeatureStore, tmp_path: Path
) -> None:
    """No loss can be below the entropy of the targets."""
    fold = fold_of("unit")
    majority = TRAINING.model_copy(update={"maximum_steps": 300, "steps_between_evaluations": 100})
    votes = majority.model_copy(update={"targets": "votes"})
    entropy = float(-(2 / 3 * np.log(2 / 3) + 1 / 3 * np.log(1 / 3)))
    for name, training in (("majority", majority), ("votes", votes)):
        run, history = train(store, tmp_path / name, fold, training)
        table = predictions_of(tmp_path / name)
        label_of = dict(corpus().select("utterance", "label").iter_rows())
        assert [label_of[key] for key in table["utterance"]] == table["label"].to_list()
        assert accuracy(tmp_path / name) > 0.85
        assert (run.repeats[0].chosen.development_ua or 0.0) > 0.85  # scored by majority labels
        steps = max(repeat.chosen.steps for repeat in run.repeats)
        train_loss, development_loss = (
            values(history, f"{role}_loss", step=steps) for role in ("train", "development")
        )
        true_class = np.concatenate([values(table, f"p_{name}", label=name) for name in CLASSES])
        if name == "majority":
            assert train_loss.max() < 0.2
            assert true_class.mean() > 0.85
        else:
            assert min(train_loss.min(), development_loss.min()) > entropy
            assert train_loss.max() < entropy + 0.1
            assert true_class.mean() == pytest.approx(2 / 3, abs=0.1)


def test_an_utterance_without_votes_has_its_majority_label(
    store: FeatureStore, tmp_path: Path
) -> None:
    fold, votes = fold_of("unit"), TRAINING.model_copy(update={"targets": "votes"})
    unanimous = [
        [{"label": label, "share": 1.0}] if number % 2 else None
        for number, label in enumerate(fold["label"])
    ]
    unanimous_fold = fold.with_columns(votes=pl.Series(unanimous, dtype=VOTE_SHARES_DTYPE))
    _, by_votes = train(store, tmp_path / "votes", unanimous_fold, votes)
    _, by_majority = train(store, tmp_path / "majority", unanimous_fold, TRAINING)
    assert by_votes.equals(by_majority)


def test_missing_votes_are_an_error(store: FeatureStore, tmp_path: Path) -> None:
    votes = TRAINING.model_copy(update={"targets": "votes"})
    for fold in (fold_of("unit", votes=False), fold_of("unit", shuffle=True)):
        with pytest.raises(UserError, match=r"set training\.targets to majority"):
            train(store, tmp_path, fold, votes)


def test_without_a_development_set_the_last_weights_are_saved(
    store: FeatureStore, tmp_path: Path
) -> None:
    fold = fold_of("none")
    run, history = train(store, tmp_path / "often", fold, FIXED)
    assert (run.development_utterances, run.test_utterances) == (0, 18)
    for repeat in run.repeats:
        assert repeat.training_utterances == 36
        chosen = repeat.chosen
        assert (chosen.development_ua, chosen.development_loss) == (None, None)
        assert (chosen.steps, chosen.best_step, chosen.stop_reason) == (60, 60, "budget")
    assert history["step"].to_list() == [20, 40, 60] * 2  # patience is 1
    assert history["development_ua"].is_null().all()
    assert history["development_loss"].is_null().all()
    assert np.isfinite(values(history, "train_loss")).all()
    assert len(predictions_of(tmp_path / "often")) == 36
    assert accuracy(tmp_path / "often") > 0.85
    # The number of evaluations has no effect, because no step is selected.
    rarely = FIXED.model_copy(update={"steps_between_evaluations": 60})
    train(store, tmp_path / "rarely", fold, rarely)
    often_weights, rarely_weights = weights_of(tmp_path / "often"), weights_of(tmp_path / "rarely")
    assert all(torch.equal(value, rarely_weights[name]) for name, value in often_weights.items())


def test_without_early_stopping_the_development_set_is_only_reported(
    store: FeatureStore, tmp_path: Path
) -> None:
    fold = fold_of("unit")
    run, history = train(store, tmp_path / "fixed", fold, FIXED)
    assert run.development_utterances == 18
    for number, repeat in enumerate(run.repeats):
        rows = history.filter(pl.col("repeat") == number)
        assert rows["step"].to_list() == [20, 40, 60]
        assert rows["development_ua"].null_count() == rows["development_loss"].null_count() == 0
        assert (repeat.chosen.best_step, repeat.chosen.stop_reason) == (60, "budget")
        assert repeat.chosen.development_ua == rows["development_ua"][-1]
    # Other development labels change the scores but not the weights.
    relabelled = fold.with_columns(
        label=pl.when(pl.col("role") == "dev")
        .then(pl.col("label").replace({"anger": "joy", "joy": "neutral", "neutral": "anger"}))
        .otherwise(pl.col("label"))
    )
    _, relabelled_history = train(store, tmp_path / "relabelled", relabelled, FIXED)
    name = "development_ua"
    assert values(relabelled_history, name).max() < values(history, name).min()
    weights, same_weights = weights_of(tmp_path / "fixed"), weights_of(tmp_path / "relabelled")
    assert all(torch.equal(value, same_weights[name]) for name, value in weights.items())
    # With early stopping, those labels would have stopped the training early.
    run, _ = train(store, tmp_path / "stopped", relabelled, TRAINING)
    assert {repeat.chosen.best_step for repeat in run.repeats} != {60}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "no step can be selected; set training.early_stopping to false"),
        (
            {"training": FIXED, "search": {"training.learning_rate": [0.1, 0.01]}},
            "no trial of the search can be selected; remove the experiment's search",
        ),
        ({"model": EstimatorSettings(kind="estimator")}, "set a single one"),
    ],
)
def test_selection_without_a_development_set_is_an_error(
    store: FeatureStore, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        train(store, tmp_path, fold_of("none"), **changes)


def test_an_estimator_with_a_single_C_needs_no_development_set(
    store: FeatureStore, tmp_path: Path
) -> None:
    model = EstimatorSettings(kind="estimator", C=(0.01,))
    run, history = train(store, tmp_path, fold_of("none"), model=model)
    assert [repeat.chosen.development_ua for repeat in run.repeats] == [None, None]
    assert history["development_ua"].is_null().all()
    assert accuracy(tmp_path) > 0.85


def test_a_search_without_early_stopping_compares_the_last_weights(
    store: FeatureStore, tmp_path: Path
) -> None:
    search = {"training.learning_rate": [1e-6, 0.01]}
    run, history = train(store, tmp_path, fold_of("unit"), FIXED, search=search)
    for number, repeat in enumerate(run.repeats):
        assert repeat.chosen_trial == 1
        assert [trial.choices for trial in repeat.trials] == [
            {"training.learning_rate": 1e-6},
            {"training.learning_rate": 0.01},
        ]
        last_rows = history.filter(pl.col("repeat") == number, pl.col("step") == 60).sort("trial")
        assert [t.development_ua for t in repeat.trials] == last_rows["development_ua"].to_list()


def test_progress_is_shown_within_a_training(
    store: FeatureStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Steps saved by early stopping are subtracted from the total."""
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    no_progress = TRAINING.model_copy(update={"learning_rate": 1e-30})
    run, _ = train(store, tmp_path, fold_of("unit"), no_progress)
    lines = [line for line in capsys.readouterr().err.splitlines() if "steps" in line]
    steps = sum(repeat.chosen.steps for repeat in run.repeats)
    assert steps == 2 * 40
    pattern = r"pooled/fold1/all: (\d+) of (\d+) steps, [\d,.]+ per second(, about \d+ s left)?"
    fields = [match.groups() for line in lines if (match := re.fullmatch(pattern, line))]
    assert [int(completed) for completed, _, _ in fields] == [*range(1, steps + 1), steps]
    assert int(fields[0][1]) == 2 * TRAINING.maximum_steps
    assert fields[0][2]
    assert int(fields[-1][1]) == steps


def test_attention_within_words_needs_word_times(store: FeatureStore, tmp_path: Path) -> None:
    model = AlignedFusionSettings(
        kind="aligned_fusion", hidden_size=4, num_heads=2, within_word=True
    )
    settings = CellSettings(model=model, training=TRAINING, layers=(None, None), seed=3)
    cell = Cell(NAME, settings, fold_of("unit"), [store, store], "code", "protocol")
    with pytest.raises(UserError, match="no token has a time"):
        train_cell(cell, tmp_path, torch.device("cpu"))
