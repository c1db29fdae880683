"""The contrastive objective against fairseq 0.12.2: equal loss and gradients."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from emoscale.config.pretraining import FolderSpeech, Wav2VecKeys
from emoscale.config.pretraining import Wav2VecPretraining as Wav2VecSettings
from emoscale.pretraining.contrastive import (
    FuturePredictions,
    Wav2VecPretraining,
    sample_negatives,
)
from emoscale.pretraining.trainer import learning_rate
from emoscale.representations.fairseq_checkpoints import load_fairseq_checkpoint

REFERENCES = Path(__file__).parent / "wav2vec_references"
VARIANTS = sorted(path.stem for path in REFERENCES.glob("*.pt"))


def keys_of(arguments: dict[str, Any]) -> Wav2VecKeys:
    layers = ("conv_feature_layers", "conv_aggregator_layers")
    values = {key: arguments[key] for key in Wav2VecKeys.model_fields}
    return Wav2VecKeys(**values | {key: ast.literal_eval(str(values[key])) for key in layers})


@pytest.mark.parametrize("variant", VARIANTS)
def test_loss_and_gradients_are_those_of_fairseq(variant: str) -> None:
    compare_with_fairseq(REFERENCES, variant)


def compare_with_fairseq(references: Path, variant: str) -> None:
    checkpoint = load_fairseq_checkpoint(references / f"{variant}.pt")
    network = Wav2VecPretraining(keys_of(checkpoint.arguments))
    network.load_state_dict(checkpoint.weights)
    waveforms = np.random.default_rng(9).normal(0.0, 0.1, (2, 5_000)).astype(np.float32)
    with np.load(references / f"{variant}.npz") as reference:
        negatives = torch.from_numpy(reference["negatives"])
        objective = network(torch.from_numpy(waveforms), negatives)
        objective.loss.backward()
        assert objective.count == reference["count"]
        assert objective.loss.item() == pytest.approx(float(reference["loss"]), rel=1e-5)
        for name, parameter in network.named_parameters():
            expected = reference[f"gradient.{name}"]
            assert parameter.grad is not None
            difference = np.abs(parameter.grad.numpy() - expected).max()
            assert difference < 1e-4 * np.abs(expected).max(), name


def test_the_learning_rates_are_those_of_fairseq() -> None:
    settings = Wav2VecSettings(
        pretrain="wav2vec",
        speech=FolderSpeech(reader="folder", root="speech"),
        steps=100,
        warmup_steps=20,
        learning_rate=0.005,
    )
    with np.load(REFERENCES / "schedule.npz") as reference:
        expected = reference["learning_rate"]
    assert [learning_rate(settings, step) for step in range(100)] == pytest.approx(expected)


def test_true_frames_that_rank_first_are_counted() -> None:
    """Frames are unit vectors, so a shift of the dimensions predicts the future exactly."""
    frames, offset, steps = 9, 2, 3
    keys = Wav2VecKeys(num_negatives=4, prediction_steps=steps)
    predictions = FuturePredictions(frames, frames, keys, offset)
    z = torch.eye(frames)[None]
    negatives = sample_negatives(1, frames, keys, torch.Generator().manual_seed(1))
    weight = torch.zeros(frames, frames, 1, steps)
    assert int(predictions(z, z, negatives).first) < 3 * frames - 9
    for step in range(steps):
        for frame in range(frames - offset - step):
            weight[frame, frame + offset + step, 0, step] = 1.0
    predictions.project_to_steps.weight.data = weight
    objective = predictions(z, z, negatives)
    assert objective.count == 7 + 6 + 5
    assert int(objective.first) == objective.count
    for parameter in predictions.parameters():
        parameter.data.zero_()
    assert int(predictions(z, z, negatives).first) == 0  # a tie is no first rank


def test_negatives_are_other_frames_of_the_crop_or_of_the_batch() -> None:
    keys = Wav2VecKeys(num_negatives=40, cross_sample_negatives=60)
    negatives = sample_negatives(3, 5, keys, torch.Generator().manual_seed(1))
    true = torch.arange(15).view(3, 5, 1)
    assert negatives.shape == (3, 5, 100)
    assert not (negatives == true).any()
    within, across = negatives[..., :40], negatives[..., 40:]
    for crop in range(3):
        for frame in range(5):
            others = set(range(5 * crop, 5 * crop + 5)) - {5 * crop + frame}
            assert set(within[crop, frame].tolist()) == others
    assert {int(index) for index in across[0, 0]} == set(range(1, 15))


def test_negatives_can_be_limited_to_the_first_frames() -> None:
    keys = Wav2VecKeys(num_negatives=40, sample_distance=3)
    negatives = sample_negatives(1, 9, keys, torch.Generator().manual_seed(1))
    assert set(negatives[0, 8].tolist()) == {0, 1}
