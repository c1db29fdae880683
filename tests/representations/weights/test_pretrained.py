"""Weights that a study has pre-trained, as its later steps find and read them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emoscale.config import parse_settings
from emoscale.config.checkpoints import CheckpointSettings
from emoscale.config.representations import RepresentationSettings
from emoscale.pretraining.model_card import weights_description
from emoscale.pretraining.objectives import objective_module
from emoscale.representations.registry import build_representation
from emoscale.representations.weights.local_checkpoint import (
    LocalCheckpoint,
    folder_sha256,
    write_checkpoint_record,
)
from emoscale.representations.weights.resolving import find_checkpoints, resolve_checkpoints
from emoscale.runtime.errors import CheckpointError
from emoscale.runtime.provenance import file_sha256
from tests.pretraining.test_masked import TINY

WAV2VEC: dict[str, Any] = {
    "pretrain": "wav2vec",
    "steps": 0,
    "architecture": {
        "conv_feature_layers": [[8, 10, 5], [8, 8, 4], [8, 4, 2], [8, 4, 2], [8, 4, 2]],
        "conv_aggregator_layers": [[8, 2, 1]],
    },
}
WAV2VEC2: dict[str, Any] = {"pretrain": "wav2vec2", "steps": 0, "architecture": TINY}
BOTH = pytest.mark.parametrize("values", [WAV2VEC, WAV2VEC2], ids=["wav2vec", "wav2vec2"])


def write(folder: Path, values: dict[str, Any], name: str = "net") -> Path:
    """Write weights and their record as scripts/pretrain.py does; return the record."""
    settings = parse_settings(CheckpointSettings, values, name)
    module, model = objective_module(settings.pretrain), folder / name / "model"
    model.mkdir(parents=True)
    module.write_model(model, module.build_network(settings, None), settings)
    weights = folder / name / settings.weights
    sha256 = folder_sha256(weights) if weights.is_dir() else file_sha256(weights)
    checkpoint = LocalCheckpoint(name, weights, sha256, weights_description(settings, None))
    write_checkpoint_record(folder / f"{name}.json", checkpoint, settings)
    return folder / f"{name}.json"


def find(record: Path, values: dict[str, Any]) -> LocalCheckpoint:
    settings = {record.stem: parse_settings(CheckpointSettings, values, "x")}
    [checkpoint] = find_checkpoints([record], settings, Path("no cache"))
    return checkpoint


@BOTH
def test_pretrained_weights_are_in_the_folder_beside_their_record(
    tmp_path: Path, values: dict[str, Any]
) -> None:
    record = write(tmp_path, values, "net_2")
    checkpoint = find(record, values)
    model = tmp_path / "net_2" / "model"
    assert checkpoint.path == (model if values is WAV2VEC2 else model / "wav2vec.pt")
    assert checkpoint.pretrained_weights == "untrained: random weights of seed 1"
    (model / ".snakemake_timestamp").touch()
    assert find(record, values) == checkpoint


@BOTH
def test_missing_and_changed_weights_are_named(tmp_path: Path, values: dict[str, Any]) -> None:
    record = write(tmp_path, values)
    checkpoint = find(record, values)
    changed = checkpoint.path
    if changed.is_dir():
        changed = changed / "model.safetensors"
    with changed.open("ab") as file:
        file.write(b"more")
    with pytest.raises(CheckpointError) as error:
        find(record, values)
    text = str(error.value)
    assert text.startswith(f"checkpoints.net: {checkpoint.path} has sha256 ")
    assert f"but had {checkpoint.sha256} when it was made or fetched; if its present" in text
    assert text.endswith(
        f"content is correct, remove {record}, otherwise remove the weights, and run again"
    )
    shutil.rmtree(tmp_path / "net")
    with pytest.raises(CheckpointError) as error:
        find(record, values)
    assert str(error.value) == (
        f"checkpoints.net: {checkpoint.path} does not exist; to make it again, remove {record} and "
        "run again"
    )


def features(representation: dict[str, Any], checkpoints: list[LocalCheckpoint]) -> np.ndarray:
    settings = parse_settings(RepresentationSettings, representation, "x")
    resolved, _ = resolve_checkpoints(settings, checkpoints)
    waveform = np.random.default_rng(1).normal(0.0, 0.1, 12_000).astype(np.float32)
    built = build_representation(resolved)
    [frames] = built.extract([waveform])
    return np.asarray(getattr(frames, "frames", frames))


@pytest.mark.parametrize("output", ["z", "c"])
def test_both_formats_give_the_same_features(tmp_path: Path, output: str) -> None:
    checkpoint = find(write(tmp_path, WAV2VEC), WAV2VEC)
    named = {"kind": "wav2vec", "checkpoint": "net", "output": output}
    safetensors = str(checkpoint.path.with_name("model.safetensors"))
    expected = features(named, [checkpoint])
    assert np.array_equal(features({**named, "checkpoint": safetensors}, []), expected)
    assert len(expected) > 50
    assert expected.std() > 0


def test_wav2vec2_is_read_by_its_name(tmp_path: Path) -> None:
    checkpoint = find(write(tmp_path, WAV2VEC2), WAV2VEC2)
    named = {"kind": "transformers_audio", "model": "net", "layer": 1}
    by_path = features({**named, "model": str(checkpoint.path)}, [])
    assert np.array_equal(features(named, [checkpoint]), by_path)


def test_fairseq_reads_the_file_in_its_format(tmp_path: Path) -> None:
    checkpoint = find(write(tmp_path, WAV2VEC), WAV2VEC)
    values = {"kind": "wav2vec", "checkpoint": "net", "backend": "fairseq"}
    settings = parse_settings(RepresentationSettings, values, "x")
    resolved, description = resolve_checkpoints(settings, [checkpoint])
    assert resolved.checkpoint == str(tmp_path / "net" / "model" / "wav2vec.pt")
    assert resolved.backend == "fairseq"
    assert description == "untrained: random weights of seed 1"


def test_the_digest_of_a_folder_is_of_names_and_contents(tmp_path: Path) -> None:
    def digest(name: str, files: dict[str, str]) -> str:
        folder = tmp_path / name
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        return folder_sha256(folder)

    plain = digest("plain", {"a": "1", "b/c": "2"})
    assert digest("hidden", {"a": "1", "b/c": "2", ".x": "3", "b/.y": "4"}) == plain
    assert digest("other content", {"a": "1", "b/c": "3"}) != plain
    assert digest("other name", {"a": "1", "b/d": "2"}) != plain
    assert digest("one more", {"a": "1", "b/c": "2", "d": ""}) != plain
