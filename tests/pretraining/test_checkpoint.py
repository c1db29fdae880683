"""The result of a pre-training: fairseq's format, read by representations, and continued from."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emoscale.config.pretraining import Wav2VecKeys, Wav2VecPretraining
from emoscale.config.representations import Wav2VecSettings
from emoscale.pretraining.checkpoint import PT_FILE, SAFETENSORS_FILE, build_network, write_model
from emoscale.representations.wav2vec import Wav2VecFeatures
from emoscale.runtime.errors import CheckpointError

KEYS = {
    "conv_feature_layers": [[8, 10, 5], [8, 8, 4], [8, 4, 2], [8, 4, 2], [8, 4, 2]],
    "conv_aggregator_layers": [[8, 2, 1], [12, 3, 1]],
    "activation": "gelu",
}


def settings(**changes: Any) -> Wav2VecPretraining:
    return Wav2VecPretraining.model_validate(
        {"pretrain": "wav2vec", "steps": 0, "architecture": KEYS | changes}
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_model(tmp_path, build_network(settings(), None), settings())
    return tmp_path


@pytest.mark.parametrize("name", [PT_FILE, SAFETENSORS_FILE])
@pytest.mark.parametrize("output", ["z", "c"])
def test_representations_read_the_weights(folder: Path, name: str, output: Any) -> None:
    waveform = np.random.default_rng(1).normal(0.0, 0.1, 8_000).astype(np.float32)
    network = build_network(settings(), None).eval()
    with torch.no_grad():
        expected = network.encode(torch.from_numpy(waveform)[None])
        expected = network.contextualise(expected) if output == "c" else expected
    representation = Wav2VecFeatures(
        Wav2VecSettings(
            kind="wav2vec",
            checkpoint=str(folder / name),
            output=output,
            storage_dtype="float32",
        )
    )
    representation.to("cpu")
    [frames] = representation.extract([waveform])
    assert np.array_equal(frames, expected[0].T.numpy())


def test_equal_weights_give_equal_bytes(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    other.mkdir()
    write_model(other, build_network(settings(), None), settings())
    for name in (PT_FILE, SAFETENSORS_FILE):
        assert (folder / name).read_bytes() == (other / name).read_bytes()


@pytest.mark.parametrize("name", [PT_FILE, SAFETENSORS_FILE])
def test_training_continues_from_the_weights(folder: Path, name: str) -> None:
    other = Wav2VecPretraining.model_validate(
        {"pretrain": "wav2vec", "steps": 0, "architecture": KEYS, "seed": 2}
    )
    assert not equal(build_network(settings(), None), build_network(other, None))
    assert equal(build_network(settings(), None), build_network(other, folder / name))


def equal(first: torch.nn.Module, second: torch.nn.Module) -> bool:
    weights, others = first.state_dict(), second.state_dict()
    return all(torch.equal(value, others[name]) for name, value in weights.items())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"activation": "relu"}, "has activation gelu, and the configuration's architecture relu"),
        ({"conv_aggregator_layers": [[8, 2, 1]]}, "has aggregator"),
        ({"prediction_steps": 3}, "wav2vec_predictions.project_to_steps.weight of shape"),
    ],
)
def test_weights_of_another_architecture_are_not_continued_from(
    folder: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        build_network(settings(**changes), folder / PT_FILE)


def test_a_damaged_safetensors_file_is_an_error(folder: Path) -> None:
    content = (folder / SAFETENSORS_FILE).read_bytes()
    for damaged in (content[:-10], content[:50], b"", b"\xff" * 100):
        (folder / SAFETENSORS_FILE).write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"model\.safetensors is (damaged|not)"):
            build_network(settings(), folder / SAFETENSORS_FILE)


def test_a_safetensors_file_without_arguments_is_no_checkpoint(folder: Path) -> None:
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(3)}, folder / "other.safetensors")
    with pytest.raises(CheckpointError, match="is not a fairseq checkpoint"):
        build_network(settings(), folder / "other.safetensors")


def test_the_pickle_has_the_content_of_a_fairseq_checkpoint(folder: Path) -> None:
    with torch.serialization.safe_globals([__import__("argparse").Namespace]):
        content = torch.load(io.BytesIO((folder / PT_FILE).read_bytes()), weights_only=True)
    assert set(content) >= {"args", "model", "optimizer_history", "extra_state"}
    assert content["args"].conv_aggregator_layers == "[(8, 2, 1), (12, 3, 1)]"
    assert content["args"].task == "audio_pretraining"


def test_wav2vec_large_has_the_published_number_of_weights() -> None:
    large = Wav2VecPretraining(pretrain="wav2vec", steps=0, architecture="wav2vec_large")
    network = build_network(large, None)
    assert sum(weight.numel() for weight in network.parameters()) == 32_537_088
    assert large.keys() == Wav2VecKeys()
