from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from emoscale.errors import StoreError
from emoscale.evaluation.runs import CellName, collect_runs, runs_schema
from emoscale.evaluation.scores import CONFUSION, confusion_table, score_table, scores_schema
from emoscale.files import write_json
from emoscale.tables import predictions_schema, read_table, write_table

CLASSES = ["a", "b"]
TRUTH = {"fold1": ["a", "a", "a", "b"], "fold2": ["a", "b"]}
SAID = {  # fold, repeat
    ("fold1", 0): ["a", "a", "b", "b"],  # recalls 2/3 and 1
    ("fold1", 1): ["a", "a", "a", "a"],  # 1 and 0
    ("fold2", 0): ["b", "b"],  # 0 and 1
    ("fold2", 1): ["a", "b"],  # 1 and 1
}


def write_cell(runs: Path, fold: str, **change: Any) -> None:
    folder = CellName("mfcc", fold, "10").folder(runs)
    rows = [
        {
            "utterance": f"{fold}u{place}",
            "repeat": repeat,
            "label": label,
            "predicted": said,
            "p_a": float(said == "a"),
            "p_b": float(said == "b"),
        }
        for repeat in (0, 1)
        for place, (label, said) in enumerate(zip(TRUTH[fold], SAID[fold, repeat], strict=True))
    ]
    write_table(pl.DataFrame(rows), folder / "predictions.parquet", predictions_schema(CLASSES))
    repeat_row = {
        "training_utterances": 10,
        "training_counts": {"a": 5, "b": 5},
        "training_speakers": 2,
        "steps": 50,
        "best_step": 25,
        "best_development_ua": 0.5,
        "stopped": "budget",
        "seconds": 1.0,
    }
    run = {
        "experiment": "mfcc",
        "fold": fold,
        "size": "10",
        "classes": CLASSES,
        "utterances_in_windows": 1,
        "settings": {"model": {"kind": "pooled"}},
        "repeats": [{"repeat": repeat, **repeat_row} for repeat in (0, 1)],
        "development_utterances": 3,
        "test_utterances": len(TRUTH[fold]),
        "device": "cpu",
        "execution": "one by one",
        "seconds": 2.5,
        "peak_memory_megabytes": 300.0,
        "origin": {
            "settings": "{}",
            "settings_sha256": "s",
            "code_sha256": "c",
            "protocol_sha256": "p",
            "representations": ["mfcc"],
            "weights": ["model.pt"],
            "features_sha256": ["f"],
        },
        "versions": {"torch": "2"},
    }
    write_json(folder / "run.json", {**run, **change})


CELLS = [CellName("mfcc", "fold1", "10"), CellName("mfcc", "fold2", "10")]


def collect(runs: Path) -> tuple[pl.DataFrame, pl.DataFrame, list[str]]:
    return collect_runs(runs, CELLS, "study", "csv", "")


def test_scores_by_hand(tmp_path: Path) -> None:
    for fold in TRUTH:
        write_cell(tmp_path, fold)
    runs, predictions, classes = collect(tmp_path)
    write_table(runs, tmp_path / "runs.parquet", runs_schema(classes))
    ua = runs.sort("fold", "repeat")["ua"].to_list()
    assert ua == pytest.approx([5 / 6, 0.5, 0.5, 1.0])
    scores = score_table(runs, predictions, classes)
    write_table(scores, tmp_path / "scores.parquet", scores_schema(classes))
    (row,) = read_table(tmp_path / "scores.parquet", scores_schema(classes)).to_dicts()
    # pooled: repeat 0 has recalls 2/4 and 2/2; repeat 1 has 4/4 and 1/2
    assert row["ua"] == pytest.approx(0.75)
    assert row["ua_repeat_deviation"] == pytest.approx(0.0)
    assert (row["recall_a"], row["recall_b"]) == pytest.approx((0.75, 0.75))
    # folds: (5/6 + 1/2) / 2 and (1/2 + 1) / 2
    assert row["ua_fold_mean"] == pytest.approx((2 / 3 + 3 / 4) / 2)
    assert row["ua_fold_deviation"] == pytest.approx((3 / 4 - 2 / 3) / 2**0.5)
    assert row["wa"] == pytest.approx((4 / 6 + 5 / 6) / 2)
    assert (row["folds"], row["repeats"], row["test_utterances"]) == (2, 2, 6)


def test_confusion_pools_folds_and_averages_repeats(tmp_path: Path) -> None:
    for fold in TRUTH:
        write_cell(tmp_path, fold)
    _, predictions, classes = collect(tmp_path)
    table = confusion_table(predictions, classes)
    write_table(table, tmp_path / "confusion.parquet", CONFUSION)
    shares = {(r["label"], r["predicted"]): (r["utterances"], r["share"]) for r in table.to_dicts()}
    assert shares == {
        ("a", "a"): (3.0, 0.75),
        ("a", "b"): (1.0, 0.25),
        ("b", "a"): (0.5, 0.25),
        ("b", "b"): (1.5, 0.75),
    }


def test_a_missing_or_damaged_cell_is_named(tmp_path: Path) -> None:
    write_cell(tmp_path, "fold1")
    with pytest.raises(StoreError, match=r"fold2/10/run\.json does not exist"):
        collect(tmp_path)
    write_cell(tmp_path, "fold2", test_utterances=3)
    with pytest.raises(StoreError, match=r"repeat 0 has 2 predictions, run\.json says 3"):
        collect(tmp_path)
    write_cell(tmp_path, "fold2", classes=["a", "c"])
    with pytest.raises(StoreError, match="was trained on other classes"):
        collect(tmp_path)
    (tmp_path / "mfcc" / "fold2" / "10" / "run.json").write_text("{")
    with pytest.raises(StoreError, match="is not JSON"):
        collect(tmp_path)


def test_every_row_says_where_it_came_from(tmp_path: Path) -> None:
    for fold in TRUTH:
        write_cell(tmp_path, fold)
    runs, _, _ = collect(tmp_path)
    for row in runs.to_dicts():
        assert all(row[f"{what}_sha256"] for what in ("settings", "code", "protocol", "features"))
        assert json.loads(row["versions"])["torch"] == "2"
