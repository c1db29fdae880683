from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest

from emoscale.config.protocol import SeededProtocolSettings
from emoscale.evaluation.layer_weights import LAYER_WEIGHTS
from emoscale.evaluation.runs import CollectedRuns, collect_runs, runs_schema
from emoscale.evaluation.scores import CONFUSION, confusion_table, score_table, scores_schema
from emoscale.evaluation.trials import TRIALS
from emoscale.runtime.errors import StoreError
from emoscale.runtime.files import write_json
from emoscale.runtime.provenance import file_sha256
from emoscale.tables.parquet import read_table, write_table
from emoscale.tables.schemas import predictions_schema
from emoscale.training.run_record import CellName

CLASSES = ["a", "b"]
TRUTH = {"fold1": ["a", "a", "a", "b"], "fold2": ["a", "b"]}
PREDICTED = {  # fold, repeat
    ("fold1", 0): ["a", "a", "b", "b"],  # recalls 2/3 and 1
    ("fold1", 1): ["a", "a", "a", "a"],  # 1 and 0
    ("fold2", 0): ["b", "b"],  # 0 and 1
    ("fold2", 1): ["a", "b"],  # 1 and 1
}


TRIAL = {
    "choices": {},
    "development_ua": 0.5,
    "development_loss": 0.7,
    "steps": 50,
    "best_step": 25,
    "stop_reason": "budget",
    "seconds": 1.0,
    "execution": "sequential, packed frames",
}
REPEAT: dict[str, Any] = {
    "training_utterances": 10,
    "training_counts": {"a": 5, "b": 5},
    "training_speakers": 2,
    "training_utterances_without_votes": None,
    "model": {"kind": "pooled"},
    "precision": "float32",
    "layer_weights": [],
    "chosen_trial": 0,
    "trials": [TRIAL],
}


def input_record(
    name: str, kind: str, weights: str = "", layer: int | None = None
) -> dict[str, Any]:
    """Return an input of a run record."""
    settings = {"kind": kind, **({"model": name} if kind.startswith("transformers") else {})}
    return {
        "name": name,
        "settings": settings,
        "layer": layer,
        "pretrained_weights": weights,
        "dimension": 3,
        "layers": None,
        "frame_rate": 100.0,
        "tokens_without_time": None,
        "features_sha256": f"features of {name}",
        "corpus_sha256": "r",
        "checkpoint_sha256": "w",
        "package_versions": {"torch": "2"},
    }


def write_cell(
    runs: Path,
    fold: str,
    experiment: str = "mfcc",
    repeat_row: dict[str, Any] | None = None,
    **changes: Any,
) -> None:
    """Write a cell of two repeats; `repeat_row` is the record of each."""
    folder = CellName(experiment, fold, "10").folder(runs)
    rows = [
        {
            "utterance": f"{fold}u{number}",
            "repeat": repeat,
            "label": label,
            "predicted": predicted,
            "p_a": float(predicted == "a"),
            "p_b": float(predicted == "b"),
        }
        for repeat in (0, 1)
        for number, (label, predicted) in enumerate(
            zip(TRUTH[fold], PREDICTED[fold, repeat], strict=True)
        )
    ]
    write_table(pl.DataFrame(rows), folder / "predictions.parquet", predictions_schema(CLASSES))
    run = {
        "experiment": experiment,
        "fold": fold,
        "size": "10",
        "classes": CLASSES,
        "settings": {"model": {"kind": "pooled"}, "training": {}, "seed": 1},
        "inputs": [input_record("mfcc", "mfcc", "model.pt")],
        "chunked_utterances": 1,
        "repeats": [{"repeat": repeat, **(repeat_row or REPEAT)} for repeat in (0, 1)],
        "development_utterances": 3,
        "test_utterances": len(TRUTH[fold]),
        "prediction": {},
        "device": "cpu",
        "threads": 1,
        "seconds": 2.5,
        "peak_memory_megabytes": 300.0,
        "settings_sha256": "s",
        "code_sha256": "c",
        "protocol_sha256": "p",
        "versions": {"torch": "2"},
        "files": {
            "predictions.parquet": file_sha256(folder / "predictions.parquet"),
            "model.safetensors": "m",
        },
    }
    write_json(folder / "run.json", {**run, **changes})


CELLS = [CellName("mfcc", "fold1", "10"), CellName("mfcc", "fold2", "10")]


SPEAKER_OF = pl.DataFrame(
    {
        "utterance": [
            f"{fold}u{number}" for fold, truth in TRUTH.items() for number in range(len(truth))
        ],
        "speaker": ["anna", "anna", "bert", "bert", "carl", "dora"],
    }
)
PROTOCOL = SeededProtocolSettings(fold_unit="speakers", folds=2, repeats=2, seed=1)


def collect(
    runs: Path, cells: list[CellName] = CELLS, protocol: SeededProtocolSettings = PROTOCOL
) -> CollectedRuns:
    return collect_runs(runs, cells, "study", "csv", "", protocol)


def write_and_read(table: pl.DataFrame, path: Path, schema: pa.Schema) -> list[dict[str, Any]]:
    """Write a table with its schema, and return the rows that are read."""
    write_table(table, path, schema)
    return read_table(path, schema).to_dicts()


def test_scores_by_hand(tmp_path: Path) -> None:
    for fold in TRUTH:
        write_cell(tmp_path, fold)
    collected = collect(tmp_path)
    write_table(collected.runs, tmp_path / "runs.parquet", runs_schema(collected.classes))
    ua = collected.runs.sort("fold", "repeat")["ua"].to_list()
    assert ua == pytest.approx([5 / 6, 0.5, 0.5, 1.0])
    scores = score_table(collected.runs, collected.predictions, SPEAKER_OF, CLASSES, PROTOCOL)
    (row,) = write_and_read(scores, tmp_path / "scores.parquet", scores_schema(collected.classes))
    # pooled: repeat 0 has recalls 2/4 and 2/2; repeat 1 has 4/4 and 1/2
    assert row["ua"] == pytest.approx(0.75)
    assert row["ua_repeat_std"] == pytest.approx(0.0)
    assert (row["recall_a"], row["recall_b"]) == pytest.approx((0.75, 0.75))
    # folds: (5/6 + 1/2) / 2 and (1/2 + 1) / 2
    assert row["ua_fold_mean"] == pytest.approx((2 / 3 + 3 / 4) / 2)
    assert row["ua_fold_std"] == pytest.approx((3 / 4 - 2 / 3) / 2**0.5)
    assert row["wa"] == pytest.approx((4 / 6 + 5 / 6) / 2)
    assert (row["folds"], row["repeats"], row["test_utterances"]) == (2, 2, 6)
    assert row["test_speakers"] == 4
    # folds: accuracies (3/4 + 3/4) / 2 and (1/2 + 1) / 2; F1 (4/5 + 2/3 + 6/7 + 0) / 4 and
    # (0 + 2/3 + 1 + 1) / 4
    assert row["wa_fold_mean"] == pytest.approx(3 / 4)
    assert row["macro_f1_fold_mean"] == pytest.approx(
        ((4 / 5 + 2 / 3 + 6 / 7) / 4 + (2 / 3 + 1 + 1) / 4) / 2
    )
    for name in ("ua", "wa", "macro_f1"):
        assert 0 < row[f"{name}_low"] < row[name] < row[f"{name}_high"]
    # All probabilities are 1: the squared distance of a wrong prediction is 2.
    assert row["ece"] == pytest.approx(1 - row["wa"])
    assert row["brier"] == pytest.approx(2 * (1 - row["wa"]))
    assert row["seconds"] == pytest.approx(2 * 2.5)  # of two jobs


def test_equal_runs_have_equal_bytes(tmp_path: Path) -> None:
    """Means over folds are computed in the order of the runs, not of threads."""
    for fold in TRUTH:
        write_cell(tmp_path, fold)
    collected = collect(tmp_path)
    accuracies = np.random.default_rng(1).uniform(size=40)
    folds = [
        collected.runs.with_columns(fold=pl.lit(f"fold{number}"), ua=pl.lit(ua), wa=pl.lit(ua))
        for number, ua in enumerate(accuracies)
    ]
    runs = pl.concat(folds)
    tables = [
        score_table(runs, collected.predictions, SPEAKER_OF, CLASSES, PROTOCOL) for _ in range(12)
    ]
    assert all(table.equals(tables[0]) for table in tables)


def test_repeats_of_one_order_have_its_number(tmp_path: Path) -> None:
    for fold in TRUTH:
        write_cell(tmp_path, fold)
    one_order = PROTOCOL.model_copy(update={"seeds_per_order": 2})
    collected = collect(tmp_path, protocol=one_order)
    assert collected.runs["order"].to_list() == [0, 0, 0, 0]
    assert collected.predictions["order"].unique().to_list() == [0]
    assert collect(tmp_path).runs["order"].to_list() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("model", "size", "shuffled", "only_component"),
    [
        ("pooled", "10", False, None),
        ("pooled", "all", False, "seeds"),  # every order has the same utterances
        ("pooled", "all", True, None),  # but with other labels
        ("estimator", "10", False, "orders"),  # only its training subset is random
    ],
)
def test_variance_fractions(
    tmp_path: Path, model: str, size: str, shuffled: bool, only_component: str | None
) -> None:
    for fold in TRUTH:
        write_cell(tmp_path, fold)
    collected = collect(tmp_path)
    protocol = PROTOCOL.model_copy(update={"shuffle_labels": shuffled})
    changes = {"model": pl.lit(model), "size": pl.lit(size)}
    runs = collected.runs.with_columns(**changes)
    predictions = collected.predictions.with_columns(size=changes["size"])
    (row,) = score_table(runs, predictions, SPEAKER_OF, CLASSES, protocol).to_dicts()
    assert row["variance_speakers"] + row["variance_trainings"] == pytest.approx(1.0)
    assert 0 < row["variance_trainings"] <= 1
    both = {"orders": row["variance_orders"], "seeds": row["variance_seeds"]}
    if only_component is None:
        assert both == {"orders": None, "seeds": None}
    else:
        assert both == {"orders": 0.0, "seeds": 0.0} | {only_component: row["variance_trainings"]}


def test_confusion_pools_folds_and_averages_repeats(tmp_path: Path) -> None:
    for fold in TRUTH:
        write_cell(tmp_path, fold)
    collected = collect(tmp_path)
    table = confusion_table(collected.predictions, collected.classes)
    write_table(table, tmp_path / "confusion.parquet", CONFUSION)
    fractions = {
        (r["label"], r["predicted"]): (r["utterances"], r["fraction"]) for r in table.to_dicts()
    }
    assert fractions == {
        ("a", "a"): (3.0, 0.75),
        ("a", "b"): (1.0, 0.25),
        ("b", "a"): (0.5, 0.25),
        ("b", "b"): (1.5, 0.75),
    }


def test_missing_or_damaged_cells_are_reported(tmp_path: Path) -> None:
    write_cell(tmp_path, "fold1")
    with pytest.raises(StoreError, match=r"fold2/10/run\.json does not exist"):
        collect(tmp_path)
    write_cell(tmp_path, "fold2", test_utterances=3)
    with pytest.raises(StoreError, match=r"repeat 0 has 2 predictions, but run\.json has 3"):
        collect(tmp_path)
    other_classes = {**REPEAT, "training_counts": {"a": 5, "c": 5}}
    write_cell(tmp_path, "fold2", repeat_row=other_classes, classes=["a", "c"])
    with pytest.raises(StoreError, match="was trained on other classes"):
        collect(tmp_path)
    write_cell(tmp_path, "fold2", classes=["a"])
    with pytest.raises(StoreError, match=r"run\.json: classes: .* written by another version"):
        collect(tmp_path)
    older = {name: value for name, value in REPEAT.items() if name != "trials"}
    write_cell(tmp_path, "fold2", repeat_row=older)
    message = r"fold2/10/run\.json: repeats\.0\.trials: is missing; .* written by another version"
    with pytest.raises(StoreError, match=message):
        collect(tmp_path)
    (tmp_path / "mfcc" / "fold2" / "10" / "run.json").write_text("{")
    with pytest.raises(StoreError, match="is not JSON"):
        collect(tmp_path)
    write_cell(tmp_path, "fold2", files={"predictions.parquet": "another", "model.safetensors": ""})
    with pytest.raises(StoreError, match=r"predictions\.parquet: does not match the digest"):
        collect(tmp_path)


def test_rows_have_their_provenance(tmp_path: Path) -> None:
    for fold in TRUTH:
        write_cell(tmp_path, fold)
    for row in collect(tmp_path).runs.to_dicts():
        for name in ("settings", "code", "protocol", "features", "corpus", "checkpoint", "model"):
            assert row[f"{name}_sha256"]
        assert json.loads(row["versions"])["torch"] == "2"


def test_tables_are_empty_without_search_and_layer_weights(tmp_path: Path) -> None:
    for fold in TRUTH:
        write_cell(tmp_path, fold)
    collected = collect(tmp_path)
    assert write_and_read(collected.trials, tmp_path / "trials.parquet", TRIALS) == []
    layers = write_and_read(collected.layer_weights, tmp_path / "layers.parquet", LAYER_WEIGHTS)
    assert layers == []
    assert set(collected.runs.select("trials", "chosen_trial", "choices").iter_rows()) == {
        (1, 0, "{}")
    }


def test_search_has_all_trials_and_the_run_of_the_chosen_one(tmp_path: Path) -> None:
    trials = [
        {**TRIAL, "choices": {"training.learning_rate": 0.01, "model.dropout": 0.0}},
        {
            **TRIAL,
            "choices": {"training.learning_rate": 0.001, "model.dropout": 0.0},
            "development_ua": 0.75,
            "steps": 80,
        },
    ]
    write_cell(tmp_path, "fold1", repeat_row={**REPEAT, "trials": trials, "chosen_trial": 1})
    collected = collect(tmp_path, CELLS[:1])
    rows = write_and_read(collected.trials, tmp_path / "trials.parquet", TRIALS)
    assert [(row["repeat"], row["trial"], row["chosen"]) for row in rows] == [
        (0, 0, False),
        (0, 1, True),
        (1, 0, False),
        (1, 1, True),
    ]
    assert rows[1] == {
        "experiment": "mfcc",
        "fold": "fold1",
        "size": "10",
        "repeat": 0,
        "trial": 1,
        "choices": '{"model.dropout":0.0,"training.learning_rate":0.001}',
        "chosen": True,
        "development_ua": 0.75,
        "development_loss": 0.7,
        "steps": 80,
        "best_step": 25,
        "seconds": 1.0,
    }
    (run, _) = collected.runs.to_dicts()
    assert (run["trials"], run["chosen_trial"], run["choices"]) == (2, 1, rows[1]["choices"])


def test_layer_weights_have_one_row_per_layer(tmp_path: Path) -> None:
    layer_weights = [
        {"representation": "wavlm", "layers": [0, 6, 12], "weights": [0.5, 0.125, 0.375]},
        {"representation": "bert", "layers": [3, 4], "weights": [0.25, 0.75]},
    ]
    write_cell(tmp_path, "fold1", "fusion", {**REPEAT, "layer_weights": layer_weights})
    collected = collect(tmp_path, [CellName("fusion", "fold1", "10")])
    rows = write_and_read(collected.layer_weights, tmp_path / "layers.parquet", LAYER_WEIGHTS)
    first_repeat = [row for row in rows if row["repeat"] == 0]
    assert [(row["representation"], row["layer"], row["weight"]) for row in first_repeat] == [
        ("wavlm", 0, 0.5),
        ("wavlm", 6, 0.125),
        ("wavlm", 12, 0.375),
        ("bert", 3, 0.25),
        ("bert", 4, 0.75),
    ]
    assert {(row["experiment"], row["fold"], row["size"]) for row in rows} == {
        ("fusion", "fold1", "10")
    }


def test_kinds_of_experiments_share_one_table(tmp_path: Path) -> None:
    """Fusion, an estimator, and a protocol without a development set."""
    fused = {**TRIAL, "development_ua": None, "development_loss": None}
    write_cell(
        tmp_path,
        "fold1",
        "fusion",
        {**REPEAT, "trials": [fused]},
        settings={"model": {"kind": "early_fusion"}, "training": {}, "seed": 1},
        inputs=[
            input_record("wavlm", "transformers_audio", "w", layer=6),
            input_record("bert", "transformers_text", "b"),
        ],
    )
    execution = "scikit-learn, one vector per utterance"
    fitted = {**TRIAL, "stop_reason": "fitted", "execution": execution}
    write_cell(
        tmp_path,
        "fold1",
        "svm",
        {**REPEAT, "trials": [fitted]},
        settings={"model": {"kind": "estimator"}, "training": {}, "seed": 1},
        inputs=[input_record("mine", "mine:Functionals")],
    )
    cells = [CellName(name, "fold1", "10") for name in ("fusion", "svm")]
    collected = collect(tmp_path, cells)
    rows = write_and_read(collected.runs, tmp_path / "runs.parquet", runs_schema(CLASSES))
    names = (
        "model",
        "representations",
        "modality",
        "pretrained_weights",
        "best_development_ua",
        "execution",
    )
    assert [tuple(row[name] for name in names) for row in rows[::2]] == [
        ("early_fusion", "wavlm/6+bert", "audio+text", "w; b", None, TRIAL["execution"]),
        ("estimator", "mine", "external", "", 0.5, execution),
    ]
    scores = score_table(collected.runs, collected.predictions, SPEAKER_OF, CLASSES, PROTOCOL)
    rows = write_and_read(scores, tmp_path / "scores.parquet", scores_schema(CLASSES))
    assert [row["modality"] for row in rows] == ["audio+text", "external"]


def test_study_without_development_set(tmp_path: Path) -> None:
    write_cell(
        tmp_path, "fold1", repeat_row={**REPEAT, "trials": [{**TRIAL, "development_ua": None}]}
    )
    collected = collect(tmp_path, CELLS[:1])
    rows = write_and_read(collected.runs, tmp_path / "runs.parquet", runs_schema(CLASSES))
    assert [row["best_development_ua"] for row in rows] == [None, None]
