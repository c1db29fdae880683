"""What of a run's folder is damaged or missing is a sentence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from safetensors.torch import load_file, save_file

from emoscale.config.training import CellSettings
from emoscale.corpus.votes import SHARES
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
    """A cell of 12 utterances of noise."""
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
            "votes": pl.Series([None] * 12, dtype=SHARES),
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
def test_what_was_trained_is_read(tmp_path: Path, model: dict[str, Any]) -> None:
    read = read_run(train(tmp_path, model))
    assert (read.name, read.classes, read.weights) == ("noise/fold1/all", ["a", "b", "c"], "")
    assert read.repeat(0).model.kind == model["kind"]
    assert read.shapes[0].dimension == 3
    with pytest.raises(StoreError, match=r"there is no repeat 3 \(there: 0\)"):
        read.repeat(3)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("run.json", None, r"run\.json does not exist: name the folder of a training, such as"),
        ("run.json", b"{", r"run\.json: is not JSON .*; remove the file and run again"),
        (
            "run.json",
            b"{}",
            r"run\.json: experiment: is missing; .*; another version wrote",
        ),
        ("run.json", b"[]", r"run\.json: is no record of a run; remove the file and run again"),
        ("run.json", b"\xff", r"run\.json: is not UTF-8"),
        ("model.safetensors", None, r"run\.json: names model\.safetensors, which is not"),
        ("model.safetensors", b"x" * 100, r"model\.safetensors: is not what its run"),
    ],
)
def test_a_missing_or_damaged_file(
    run: Path, name: str, content: bytes | None, sentence: str
) -> None:
    if content is None:
        (run / name).unlink()
    else:
        (run / name).write_bytes(content)
    with pytest.raises(StoreError, match=sentence):
        read_run(run)


def test_a_value_that_is_none(run: Path) -> None:
    values = json.loads((run / "run.json").read_text())
    values["repeats"][0]["model"]["kind"] = "oracle"
    (run / "run.json").write_text(json.dumps(values))
    with pytest.raises(StoreError, match=r"repeats\.0\.model: oracle is not known; choose one of"):
        read_run(run)


@pytest.mark.parametrize("kind", ["pooled", "estimator"])
def test_weights_of_another_model(tmp_path: Path, kind: str) -> None:
    folder = train(tmp_path, {"kind": kind})
    weights = load_file(folder / "model.safetensors")
    weights.pop(min(weights))
    save_file(weights, folder / "model.safetensors")
    run = json.loads((folder / "run.json").read_text())
    run["files"]["model.safetensors"] = file_sha256(folder / "model.safetensors")
    (folder / "run.json").write_text(json.dumps(run))
    with pytest.raises(StoreError, match=r"repeat 0 has other weights than run\.json says"):
        read_run(folder)
