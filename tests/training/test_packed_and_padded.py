"""Training on packed frames against training on padded batches with torch's operations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, cross_entropy

from emoscale.config.models import (
    ConvolutionalSettings,
    EarlyFusionSettings,
    LateFusionSettings,
    PooledSettings,
    RecurrentSettings,
)
from emoscale.config.training import TrainingSettings
from emoscale.models.contract import PackedFrames
from emoscale.store.features import Features
from emoscale.training.cell_features import CellFeatures
from emoscale.training.engine import probabilities_of, train
from emoscale.training.trainer import Trainer
from tests.training.test_engine import CPU, LABELS, TEST, task_of, trainer_of

Weights = dict[str, Tensor]
SETTINGS = TrainingSettings(
    learning_rate=0.003,
    batch_size=8,
    maximum_steps=40,
    steps_between_evaluations=1,
    patience=100,
    class_balance="none",
    early_stopping=False,
)


def make_features(inputs: int) -> CellFeatures:
    """Return 60 utterances of noise; each class shifts one dimension of each input."""
    random = np.random.default_rng(0)
    features = []
    for index in range(inputs):
        lengths = random.integers(2, 20, 60)
        frames = random.normal(size=(int(lengths.sum()), 4))
        frames += 0.7 * np.eye(4)[(LABELS.numpy() + index) % 4].repeat(lengths, axis=0)
        features.append(Features.packed(frames.astype(np.float16), lengths))
    return CellFeatures([f"u{number}" for number in range(60)], features, CPU)


def standardised(weights: Weights, frames: Tensor, mask: Tensor, index: int) -> Tensor:
    mean, scale = weights[f"standardise.{index}.mean"], weights[f"standardise.{index}.scale"]
    return (frames - mean) * scale * mask[:, :, None]


def linear(weights: Weights, name: str, values: Tensor) -> Tensor:
    return values @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def masked_mean(frames: Tensor, mask: Tensor) -> Tensor:
    return (frames * mask[:, :, None]).sum(dim=1) / mask.sum(dim=1, keepdim=True)


def pooled(weights: Weights, frames: Tensor, mask: Tensor, index: int = 0) -> Tensor:
    hidden = linear(weights, "project.0", standardised(weights, frames, mask, index)).relu()
    return linear(weights, "classify", masked_mean(hidden, mask))


def attentive(weights: Weights, frames: Tensor, mask: Tensor) -> Tensor:
    hidden = linear(weights, "project.0", standardised(weights, frames, mask, 0)).relu()
    scores = linear(weights, "pool.score.0", hidden).tanh() @ weights["pool.score.2.weight"].T
    attention = scores.masked_fill(~mask[:, :, None], -torch.inf).softmax(dim=1)
    mean = (attention * hidden).sum(dim=1)
    variance = (attention * (hidden - mean[:, None]).square()).sum(dim=1)
    return linear(weights, "classify", torch.cat([mean, (variance + 1e-6).sqrt()], dim=1))


def convolutional(weights: Weights, frames: Tensor, mask: Tensor) -> Tensor:
    signal = standardised(weights, frames, mask, 0).transpose(1, 2)
    for layer in range(2):
        name = f"convolutions.{layer}.convolution"
        kernel = weights[f"{name}.weight"]
        signal = conv1d(signal, kernel, weights[f"{name}.bias"], padding=kernel.shape[2] // 2)
        signal = signal.relu() * mask[:, None]
    vectors = masked_mean(signal.transpose(1, 2), mask)
    return linear(weights, "classify", linear(weights, "hidden", vectors).relu())


def early_fusion(
    weights: Weights, speech: Tensor, speech_mask: Tensor, text: Tensor, text_mask: Tensor
) -> Tensor:
    vectors = []
    for index, (frames, mask) in enumerate(((speech, speech_mask), (text, text_mask))):
        projected = linear(
            weights, f"project.{index}", standardised(weights, frames, mask, index)
        ).relu()
        vectors.append(masked_mean(projected, mask))
    hidden = linear(weights, "hidden", torch.cat(vectors, dim=1)).relu()
    return linear(weights, "classify", hidden)


def recurrent(weights: Weights, frames: Tensor, mask: Tensor) -> Tensor:
    """Compute logits with torch's bidirectional GRU over a padded batch, which it packs."""
    inputs = standardised(weights, frames, mask, 0)
    network = nn.GRU(inputs.shape[2], 6, bidirectional=True, batch_first=True)
    names = {name: weights[f"encoder.networks.0.{name}"] for name, _ in network.named_parameters()}
    packed = nn.utils.rnn.pack_padded_sequence(
        inputs, mask.sum(dim=1), batch_first=True, enforce_sorted=False
    )
    output, _ = torch.func.functional_call(network, names, (packed,))
    states, _ = nn.utils.rnn.pad_packed_sequence(output, batch_first=True)
    scores = linear(weights, "pool.score.0", states).tanh() @ weights["pool.score.2.weight"].T
    attention = scores.masked_fill(~mask[:, :, None], -torch.inf).softmax(dim=1)
    return linear(weights, "classify", (attention * states).sum(dim=1))


def late_fusion(*forwards: Callable[..., Tensor]) -> Callable[..., list[Tensor]]:
    """Return logits of each branch of a late fusion, whose weights are named `parts.<n>.`."""

    def logits(weights: Weights, *inputs: Tensor) -> list[Tensor]:
        branch_logits = []
        for index, forward in enumerate(forwards):
            branch_weights = {
                name.removeprefix(f"parts.{index}."): value
                for name, value in weights.items()
                if name.startswith(f"parts.{index}.")
            }
            for kind in ("mean", "scale"):
                branch_weights[f"standardise.0.{kind}"] = weights[f"standardise.{index}.{kind}"]
            branch_logits.append(forward(branch_weights, *inputs[2 * index : 2 * index + 2]))
        return branch_logits

    return logits


def single(forward: Callable[..., Tensor]) -> Callable[..., list[Tensor]]:
    return lambda *inputs: [forward(*inputs)]


BRANCH = PooledSettings(kind="pooled", projection_size=8)
KINDS: dict[str, tuple[Any, Callable[..., list[Tensor]]]] = {
    "pooled": (BRANCH, single(pooled)),
    "pooled, attentive": (
        PooledSettings(kind="pooled", projection_size=8, pooling="attentive_statistics"),
        single(attentive),
    ),
    "convolutional": (
        ConvolutionalSettings(
            kind="convolutional", layers=((8, 5), (6, 1)), hidden_size=5, dropout=0.0
        ),
        single(convolutional),
    ),
    "recurrent": (
        RecurrentSettings(kind="recurrent", hidden_size=6, dropout=0.0),
        single(recurrent),
    ),
    "early_fusion": (
        EarlyFusionSettings(kind="early_fusion", projection_size=6, hidden_size=7, dropout=0.0),
        single(early_fusion),
    ),
    "late_fusion": (
        LateFusionSettings(kind="late_fusion", branches=(BRANCH, BRANCH)),
        late_fusion(pooled, pooled),
    ),
}


def padded(inputs: Sequence[PackedFrames]) -> list[Tensor]:
    """Return frames [batch, longest, dimension], padded by 7, and mask [batch, longest]."""
    padded_inputs: list[Tensor] = []
    for batch in inputs:
        utterances = list(torch.split(batch.frames.float(), batch.lengths))
        frames = nn.utils.rnn.pad_sequence(utterances, batch_first=True, padding_value=7.0)
        lengths = torch.tensor(batch.lengths)
        padded_inputs += [frames, torch.arange(frames.shape[1]) < lengths[:, None]]
    return padded_inputs


@pytest.mark.parametrize("kind", KINDS)
def test_packed_and_padded_trainings_are_equal(kind: str) -> None:
    settings, forward = KINDS[kind]
    features = make_features(settings.inputs)
    packed_trainer, padded_trainer = (
        trainer_of(features, task_of(SETTINGS), settings) for _ in range(2)
    )
    weights = {name: value.clone() for name, value in padded_trainer.model.state_dict().items()}
    parameters = [
        weights[name].requires_grad_() for name, _ in padded_trainer.model.named_parameters()
    ]
    optimiser = torch.optim.AdamW(parameters, lr=SETTINGS.learning_rate, weight_decay=0.0)
    losses = []
    for _ in range(SETTINGS.maximum_steps):
        losses.append(padded_step(padded_trainer, weights, forward, optimiser))
    train(packed_trainer)
    curve = [row["train_loss"] for row in packed_trainer.result().history]
    np.testing.assert_allclose(curve, losses, rtol=0, atol=1e-4)
    with torch.no_grad():
        logits = forward(weights, *padded(features.batch(TEST)))
        expected = torch.stack([branch.softmax(dim=1) for branch in logits]).mean(dim=0)
    actual = probabilities_of(packed_trainer.model, features, TEST)
    np.testing.assert_allclose(actual, expected.numpy(), rtol=0, atol=1e-3)


def padded_step(
    trainer: Trainer,
    weights: Weights,
    forward: Callable[..., list[Tensor]],
    optimiser: torch.optim.Optimizer,
) -> float:
    """Take one step on the padded next batch of a training and return the loss."""
    inputs, targets = trainer.next_batch()
    branch_logits = forward(weights, *padded(inputs))
    loss: Any = sum(cross_entropy(logits, targets) for logits in branch_logits)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return float(loss.detach())
