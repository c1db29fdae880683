"""Packed trainings against padded ones, written out with torch's own operations and optimiser."""

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
from emoscale.store.index import Features
from emoscale.training.cell_features import CellFeatures
from emoscale.training.engine import probabilities_of, run
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
    """60 utterances; a class shifts a dimension of each input a little."""
    random = np.random.default_rng(0)
    features = []
    for index in range(inputs):
        lengths = random.integers(2, 20, 60)
        frames = random.normal(size=(int(lengths.sum()), 4))
        frames += 0.7 * np.eye(4)[(LABELS.numpy() + index) % 4].repeat(lengths, axis=0)
        features.append(Features(frames.astype(np.float16), lengths.astype(np.int64)))
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
    shares = scores.masked_fill(~mask[:, :, None], -torch.inf).softmax(dim=1)
    mean = (shares * hidden).sum(dim=1)
    variance = (shares * (hidden - mean[:, None]).square()).sum(dim=1)
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
    """torch's bidirectional network over a padded batch that it packs itself."""
    given = standardised(weights, frames, mask, 0)
    network = nn.GRU(given.shape[2], 6, bidirectional=True, batch_first=True)
    names = {
        f"{name}{suffix}": weights[f"encoder.{way}.0.{name}"]
        for way, suffix in (("forwards", ""), ("backwards", "_reverse"))
        for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    }
    packed = nn.utils.rnn.pack_padded_sequence(
        given, mask.sum(dim=1), batch_first=True, enforce_sorted=False
    )
    output, _ = torch.func.functional_call(network, names, (packed,))
    states, _ = nn.utils.rnn.pad_packed_sequence(output, batch_first=True)
    scores = linear(weights, "pool.score.0", states).tanh() @ weights["pool.score.2.weight"].T
    shares = scores.masked_fill(~mask[:, :, None], -torch.inf).softmax(dim=1)
    return linear(weights, "classify", (shares * states).sum(dim=1))


def parts_of(*forwards: Callable[..., Tensor]) -> Callable[..., list[Tensor]]:
    """Logits of each part of a late fusion; its weights stand under `parts.<n>.`."""

    def logits(weights: Weights, *given: Tensor) -> list[Tensor]:
        found = []
        for index, forward in enumerate(forwards):
            own = {
                name.removeprefix(f"parts.{index}."): value
                for name, value in weights.items()
                if name.startswith(f"parts.{index}.")
            }
            for kind in ("mean", "scale"):
                own[f"standardise.0.{kind}"] = weights[f"standardise.{index}.{kind}"]
            found.append(forward(own, *given[2 * index : 2 * index + 2]))
        return found

    return logits


def alone(forward: Callable[..., Tensor]) -> Callable[..., list[Tensor]]:
    return lambda *given: [forward(*given)]


PART = PooledSettings(kind="pooled", projection_size=8)
KINDS: dict[str, tuple[Any, Callable[..., list[Tensor]]]] = {
    "pooled": (PART, alone(pooled)),
    "pooled, attentive": (
        PooledSettings(kind="pooled", projection_size=8, pooling="attentive_statistics"),
        alone(attentive),
    ),
    "convolutional": (
        ConvolutionalSettings(
            kind="convolutional", layers=((8, 5), (6, 1)), hidden_size=5, dropout=0.0
        ),
        alone(convolutional),
    ),
    "recurrent": (
        RecurrentSettings(kind="recurrent", hidden_size=6, dropout=0.0),
        alone(recurrent),
    ),
    "early_fusion": (
        EarlyFusionSettings(kind="early_fusion", projection_size=6, hidden_size=7, dropout=0.0),
        alone(early_fusion),
    ),
    "late_fusion": (
        LateFusionSettings(kind="late_fusion", branches=(PART, PART)),
        parts_of(pooled, pooled),
    ),
}


def padded(inputs: Sequence[PackedFrames]) -> list[Tensor]:
    """Frames [batch, longest, dimension] (padding is 7) and mask [batch, longest] of each input."""
    found: list[Tensor] = []
    for given in inputs:
        parts = torch.split(given.frames.float(), given.lengths)
        found.append(nn.utils.rnn.pad_sequence(list(parts), batch_first=True, padding_value=7.0))
        lengths = torch.tensor(given.lengths)
        found.append(torch.arange(found[-1].shape[1]) < lengths[:, None])
    return found


@pytest.mark.parametrize("kind", KINDS)
def test_packed_and_padded_trainings_are_equal(kind: str) -> None:
    settings, forward = KINDS[kind]
    features = make_features(settings.inputs)
    ours, twin = (trainer_of(features, task_of(SETTINGS), settings) for _ in range(2))
    weights = {name: value.clone() for name, value in twin.model.state_dict().items()}
    learned = [weights[name].requires_grad_() for name, parameter in twin.model.named_parameters()]
    optimiser = torch.optim.AdamW(learned, lr=SETTINGS.learning_rate, weight_decay=0.0)
    losses = []
    for _ in range(SETTINGS.maximum_steps):
        losses.append(padded_step(twin, weights, forward, optimiser))
    run(ours)
    curve = [row["train_loss"] for row in ours.result().history]
    np.testing.assert_allclose(curve, losses, rtol=0, atol=1e-4)
    with torch.no_grad():
        logits = forward(weights, *padded(features.batch(TEST)))
        expected = torch.stack([own.softmax(dim=1) for own in logits]).mean(dim=0)
    found = probabilities_of(ours.model, features, TEST)
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-3)


def padded_step(
    twin: Trainer,
    weights: Weights,
    forward: Callable[..., list[Tensor]],
    optimiser: torch.optim.Optimizer,
) -> float:
    """One step on the batch that the training would have drawn."""
    inputs, targets = twin.next_batch()
    loss: Any = sum(cross_entropy(own, targets) for own in forward(weights, *padded(inputs)))
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return float(loss.detach())
