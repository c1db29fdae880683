"""Cells through `train_cell`: with votes, and with and without a development set."""

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

from emoscale.config.models import EstimatorSettings, PooledSettings
from emoscale.config.protocol import ProtocolSettings
from emoscale.config.training import CellSettings, TrainingSettings
from emoscale.corpus.votes import SHARES
from emoscale.protocol.orders import make_fold
from emoscale.runtime import progress
from emoscale.runtime.errors import UserError
from emoscale.store import FeatureStore, ShardHeader, index_shards, write_shard
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
    """54 utterances of three sessions; every utterance has two votes of three for its label."""
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
    return pl.DataFrame(rows, schema_overrides={"vote_shares": SHARES})


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> FeatureStore:
    """A class shifts one dimension."""
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
    """The run's record and its history."""
    settings = CellSettings(model=model, training=training, search=search or {}, seed=3)
    cell = Cell(NAME, settings, fold, [store], "code", "protocol")
    train_cell(cell, folder, torch.device("cpu"))
    return read_run_record(folder / "run.json"), read_table(folder / "history.parquet", HISTORY)


def predictions_of(folder: Path) -> pl.DataFrame:
    return read_table(folder / "predictions.parquet", predictions_schema(CLASSES))


def share_right(folder: Path) -> float:
    table = predictions_of(folder)
    return float(np.mean((table["label"] == table["predicted"]).to_numpy()))


def values(history: pl.DataFrame, column: str, **where: int | str) -> NDArray[np.float64]:
    """A column of the rows that have these values."""
    return history.filter(**where)[column].to_numpy().astype(np.float64)


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def test_votes_are_learned_and_the_majority_is_tested(store: FeatureStore, tmp_path: Path) -> None:
    """Where a third of every target is another class, no loss can be below its entropy."""
    fold = fold_of("unit")
    learned = TRAINING.model_copy(update={"maximum_steps": 300, "steps_between_evaluations": 100})
    voted = learned.model_copy(update={"targets": "votes"})
    entropy = float(-(2 / 3 * np.log(2 / 3) + 1 / 3 * np.log(1 / 3)))
    for name, training in (("majority", learned), ("votes", voted)):
        run, history = train(store, tmp_path / name, fold, training)
        table = predictions_of(tmp_path / name)
        label_of = dict(corpus().select("utterance", "label").iter_rows())
        assert [label_of[key] for key in table["utterance"]] == table["label"].to_list()
        assert share_right(tmp_path / name) > 0.85
        assert (run.repeats[0].chosen.development_ua or 0.0) > 0.85  # of the majority, either way
        steps = max(repeat.chosen.steps for repeat in run.repeats)
        train_loss, development_loss = (
            values(history, f"{part}_loss", step=steps) for part in ("train", "development")
        )
        own = np.concatenate([values(table, f"p_{each}", label=each) for each in CLASSES])
        if name == "majority":
            assert train_loss.max() < 0.2
            assert own.mean() > 0.85
        else:
            assert min(train_loss.min(), development_loss.min()) > entropy
            assert train_loss.max() < entropy + 0.1
            assert own.mean() == pytest.approx(2 / 3, abs=0.1)


def test_an_utterance_without_votes_keeps_its_majority(store: FeatureStore, tmp_path: Path) -> None:
    fold, voted = fold_of("unit"), TRAINING.model_copy(update={"targets": "votes"})
    sure = [
        [{"label": label, "share": 1.0}] if number % 2 else None
        for number, label in enumerate(fold["label"])
    ]
    certain = fold.with_columns(votes=pl.Series(sure, dtype=SHARES))
    _, one = train(store, tmp_path / "one", certain, voted)
    _, other = train(store, tmp_path / "other", certain, TRAINING)
    assert one.equals(other)


def test_votes_that_are_not_there_are_a_sentence(store: FeatureStore, tmp_path: Path) -> None:
    voted = TRAINING.model_copy(update={"targets": "votes"})
    for fold in (fold_of("unit", votes=False), fold_of("unit", shuffle=True)):
        with pytest.raises(UserError, match=r"set training\.targets to majority"):
            train(store, tmp_path, fold, voted)


def test_without_a_development_set_the_last_weights_are_kept(
    store: FeatureStore, tmp_path: Path
) -> None:
    fold = fold_of("none")
    run, history = train(store, tmp_path / "whole", fold, FIXED)
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
    assert len(predictions_of(tmp_path / "whole")) == 36
    assert share_right(tmp_path / "whole") > 0.85
    # How often it is looked at changes nothing: no row is chosen.
    rarely = FIXED.model_copy(update={"steps_between_evaluations": 60})
    train(store, tmp_path / "rarely", fold, rarely)
    kept, same = weights_of(tmp_path / "whole"), weights_of(tmp_path / "rarely")
    assert all(torch.equal(value, same[name]) for name, value in kept.items())


def test_a_fixed_schedule_reports_the_development_set_and_chooses_nothing_on_it(
    store: FeatureStore, tmp_path: Path
) -> None:
    fold = fold_of("unit")
    run, history = train(store, tmp_path / "fixed", fold, FIXED)
    assert run.development_utterances == 18
    for number, repeat in enumerate(run.repeats):
        own = history.filter(pl.col("repeat") == number)
        assert own["step"].to_list() == [20, 40, 60]
        assert own["development_ua"].null_count() == own["development_loss"].null_count() == 0
        assert (repeat.chosen.best_step, repeat.chosen.stop_reason) == (60, "budget")
        assert repeat.chosen.development_ua == own["development_ua"][-1]
    # Other development labels are other reports of the same weights.
    turned = fold.with_columns(
        label=pl.when(pl.col("role") == "dev")
        .then(pl.col("label").replace({"anger": "joy", "joy": "neutral", "neutral": "anger"}))
        .otherwise(pl.col("label"))
    )
    _, wrong = train(store, tmp_path / "turned", turned, FIXED)
    name = "development_ua"
    assert values(wrong, name).max() < values(history, name).min()
    kept, same = weights_of(tmp_path / "fixed"), weights_of(tmp_path / "turned")
    assert all(torch.equal(value, same[name]) for name, value in kept.items())
    # By the development set those labels would have stopped it at once.
    run, _ = train(store, tmp_path / "chosen", turned, TRAINING)
    assert {repeat.chosen.best_step for repeat in run.repeats} != {60}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({}, "no step could be chosen; set training.early_stopping to false"),
        (
            {"training": FIXED, "search": {"training.learning_rate": [0.1, 0.01]}},
            "no trial of the search could be chosen; search nothing",
        ),
        ({"model": EstimatorSettings(kind="estimator")}, "name a single one"),
    ],
)
def test_nothing_can_be_chosen_without_a_development_set(
    store: FeatureStore, tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        train(store, tmp_path, fold_of("none"), **change)


def test_an_estimator_of_one_strength_needs_no_development_set(
    store: FeatureStore, tmp_path: Path
) -> None:
    model = EstimatorSettings(kind="estimator", C=(0.01,))
    run, history = train(store, tmp_path, fold_of("none"), model=model)
    assert [repeat.chosen.development_ua for repeat in run.repeats] == [None, None]
    assert history["development_ua"].is_null().all()
    assert share_right(tmp_path) > 0.85


def test_a_search_with_a_fixed_schedule_compares_the_last_weights(
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
        last = history.filter(pl.col("repeat") == number, pl.col("step") == 60).sort("trial")
        assert [t.development_ua for t in repeat.trials] == last["development_ua"].to_list()


def test_progress_is_shown_within_a_training(
    store: FeatureStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Steps that patience spares are not counted as taken."""
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    unmoved = TRAINING.model_copy(update={"learning_rate": 1e-30})
    run, _ = train(store, tmp_path, fold_of("unit"), unmoved)
    lines = [line for line in capsys.readouterr().err.splitlines() if "steps" in line]
    taken = sum(repeat.chosen.steps for repeat in run.repeats)
    assert taken == 2 * 40
    said = r"pooled/fold1/all: (\d+) of (\d+) steps, [\d,.]+ a second(, about \d+ s left)?"
    parts = [match.groups() for line in lines if (match := re.fullmatch(said, line))]
    assert [int(done) for done, _, _ in parts] == [*range(1, taken + 1), taken]
    assert int(parts[0][1]) == 2 * TRAINING.maximum_steps
    assert parts[0][2]
    assert int(parts[-1][1]) == taken
