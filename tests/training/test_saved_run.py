"""Reading of a run's folder, and errors for missing, damaged and inconsistent files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file

from emoscale.config.training import CellSettings
from emoscale.corpus.votes import VOTE_SHARES_DTYPE
from emoscale.runtime.errors import StoreError
from emoscale.runtime.provenance import file_sha256
from emoscale.store.index import FeatureStore, index_shards
from emoscale.store.shard import ShardHeader
from emoscale.store.writer import write_shard
from emoscale.training.cell import train_cell
from emoscale.training.prepared_cell import Cell
from emoscale.training.run_record import CellName
from emoscale.training.saved_run import read_run


def train(folder: Path, model: dict[str, Any]) -> Path:
    """Train a cell of 12 utterances of noise and return the run's folder."""
    keys = [f"u{number:02d}" for number in range(12)]
    generator = torch.Generator().manual_seed(1)
    frames = [torch.randn(5, 3, generator=generator).numpy() for _ in keys]
    header = ShardHeader('{"kind":"mfcc"}', 3, 100.0, "code", "shard")
    shard = folder / "features" / "mfcc" / "00.h5"
    write_shard(shard, header, keys, frames, "float32")
    index_shards([shard], shard.with_name("index.parquet"))
    store = FeatureStore(shard.with_name("index.parquet"))
    fold = pl.DataFrame(
        {
            "utterance": keys,
            "role": ["train"] * 6 + ["dev"] * 3 + ["test"] * 3,
            "label": ["a", "b", "c"] * 4,
            "speaker": keys,
            "votes": pl.Series([None] * 12, dtype=VOTE_SHARES_DTYPE),
            "rank_0": [*range(6), *[None] * 6],
        }
    )
    settings = CellSettings.model_validate(
        {"model": model, "training": {"maximum_steps": 1}, "seed": 1}
    )
    run = folder / "runs" / "noise" / "fold1" / "all"
    cell = Cell(CellName("noise", "fold1", "all"), settings, fold, [store], "code", "protocol")
    train_cell(cell, run, torch.device("cpu"))
    return run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return train(tmp_path, {"kind": "pooled", "projection_size": 4})


@pytest.mark.parametrize(
    "model", [{"kind": "pooled", "projection_size": 4}, {"kind": "estimator", "method": "rbf_svm"}]
)
def test_a_run_is_read(tmp_path: Path, model: dict[str, Any]) -> None:
    run = read_run(train(tmp_path, model))
    assert (run.name, run.classes, run.pretrained_weights) == (
        "noise/fold1/all",
        ["a", "b", "c"],
        "",
    )
    assert run.repeat(0).model.kind == model["kind"]
    assert run.shapes[0].dimension == 3
    with pytest.raises(StoreError, match=r"has no repeat 3 \(available: 0\)"):
        run.repeat(3)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("run.json", None, r"run\.json does not exist: name the folder of a run, such as"),
        ("run.json", b"{", r"run\.json: is not JSON .*; remove the file and run again"),
        (
            "run.json",
            b"{}",
            r"run\.json: experiment: is missing; .*; it was written by another version",
        ),
        (
            "run.json",
            b"[]",
            r"run\.json: is not the record of a run; remove the file and run again",
        ),
        ("run.json", b"\xff", r"run\.json: is not UTF-8"),
        ("model.safetensors", None, r"run\.json: refers to model\.safetensors, which is missing"),
        (
            "model.safetensors",
            b"x" * 100,
            r"model\.safetensors: does not match the digest in its run\.json",
        ),
    ],
)
def test_a_missing_or_damaged_file_is_an_error(
    run: Path, name: str, content: bytes | None, message: str
) -> None:
    if content is None:
        (run / name).unlink()
    else:
        (run / name).write_bytes(content)
    with pytest.raises(StoreError, match=message):
        read_run(run)


def test_an_unknown_value_is_an_error(run: Path) -> None:
    values = json.loads((run / "run.json").read_text())
    values["repeats"][0]["model"]["kind"] = "oracle"
    (run / "run.json").write_text(json.dumps(values))
    with pytest.raises(StoreError, match=r"repeats\.0\.model: oracle is not known; choose one of"):
        read_run(run)


@pytest.mark.parametrize("bound", [-1.0, float("nan")])
def test_an_invalid_bound_of_an_estimator_is_an_error(tmp_path: Path, bound: float) -> None:
    folder = train(tmp_path, {"kind": "estimator"})
    weights = load_file(folder / "model.safetensors")
    assert weights["repeat_0.bound"].tolist() == [10.0]
    weights["repeat_0.bound"].fill_(bound)
    save_file(weights, folder / "model.safetensors")
    run = json.loads((folder / "run.json").read_text())
    run["files"]["model.safetensors"] = file_sha256(folder / "model.safetensors")
    (folder / "run.json").write_text(json.dumps(run))
    with pytest.raises(StoreError, match="the weights of repeat 0 do not fit"):
        read_run(folder)


@pytest.mark.parametrize("kind", ["pooled", "estimator"])
def test_weights_of_another_model_are_an_error(tmp_path: Path, kind: str) -> None:
    folder = train(tmp_path, {"kind": kind})
    weights = load_file(folder / "model.safetensors")
    weights.pop(min(weights))
    save_file(weights, folder / "model.safetensors")
    run = json.loads((folder / "run.json").read_text())
    run["files"]["model.safetensors"] = file_sha256(folder / "model.safetensors")
    (folder / "run.json").write_text(json.dumps(run))
    with pytest.raises(
        StoreError, match=r"the weights of repeat 0 do not fit the model in run\.json"
    ):
        read_run(folder)


def test_standardised_support_vectors_of_earlier_versions_are_refused(tmp_path: Path) -> None:
    folder = train(tmp_path, {"kind": "estimator", "method": "rbf_svm"})
    weights = load_file(folder / "model.safetensors")
    weights["repeat_0.support"] = weights["repeat_0.support"].double()
    save_file(weights, folder / "model.safetensors")
    run = json.loads((folder / "run.json").read_text())
    run["files"]["model.safetensors"] = file_sha256(folder / "model.safetensors")
    (folder / "run.json").write_text(json.dumps(run))
    with pytest.raises(StoreError, match="do not fit the model in run"):
        read_run(folder)
