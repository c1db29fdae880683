"""Mixed precision: bfloat16 products are near float32; sums and last layers are in float32."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from emoscale.config.models import (
    AlignedFusionSettings,
    ConvolutionalSettings,
    EarlyFusionSettings,
    LateFusionSettings,
    PooledSettings,
    RecurrentSettings,
    WaveformModelSettings,
)
from emoscale.models.contract import InputShape, PackedFrames
from emoscale.models.layers import UtteranceLinear
from emoscale.models.packed_layout import PackedLayout
from emoscale.models.registry import BUILT_IN, build_model
from emoscale.training.engine import logits_of, probabilities_of, train
from emoscale.training.trainer import Trainer
from tests.training.test_engine import LABELS, SETTINGS, TEST, task_of, trainer_of
from tests.training.test_packed_and_padded import make_features

BRANCH = PooledSettings(kind="pooled", projection_size=6)
KINDS: dict[str, Any] = {
    "pooled": PooledSettings(kind="pooled", projection_size=8),
    "pooled, SUPERB": PooledSettings(kind="pooled", projection_size=8, activation="none"),
    "pooled, mean_std": PooledSettings(kind="pooled", projection_size=8, pooling="mean_std"),
    "pooled, attentive": PooledSettings(
        kind="pooled", projection_size=8, pooling="attentive_statistics"
    ),
    "convolutional": ConvolutionalSettings(
        kind="convolutional", layers=((8, 1), (6, 3)), dropout=0.0
    ),
    "recurrent": RecurrentSettings(kind="recurrent", hidden_size=6, dropout=0.0),
    "recurrent, lstm": RecurrentSettings(
        kind="recurrent", rnn_type="lstm", hidden_size=6, dropout=0.0
    ),
    "waveform": WaveformModelSettings(kind="waveform", layers=((6, 4, 2), (5, 2, 1))),
    "aligned_fusion": AlignedFusionSettings(
        kind="aligned_fusion", hidden_size=6, num_heads=2, dropout=0.0
    ),
    "early_fusion": EarlyFusionSettings(
        kind="early_fusion", projection_size=6, hidden_size=7, dropout=0.0
    ),
    "late_fusion": LateFusionSettings(kind="late_fusion", branches=(BRANCH, BRANCH)),
}


def test_all_network_kinds_are_covered() -> None:
    assert {settings.kind for settings in KINDS.values()} == BUILT_IN.keys() - {"estimator"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_parameter_has_a_gradient(kind: str) -> None:
    settings = SETTINGS.model_copy(update={"maximum_steps": 1})
    trainer = trainer_of(make_features(KINDS[kind].inputs), task_of(settings), KINDS[kind])
    train(trainer)
    for name, parameter in trainer.model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


@cache  # two tests use the float32 training
def trained(kind: str, precision: str) -> Trainer:
    changes = {"precision": precision, "early_stopping": False, "maximum_steps": 60}
    # A low learning rate, so that rounding does not lead to other minima.
    settings = SETTINGS.model_copy(update={**changes, "learning_rate": 0.003})
    trainer = trainer_of(make_features(KINDS[kind].inputs), task_of(settings), KINDS[kind])
    train(trainer)
    return trainer


@pytest.mark.parametrize("kind", KINDS)
def test_a_bfloat16_training_is_near_a_float32_training(kind: str) -> None:
    float32, bfloat16 = trained(kind, "float32"), trained(kind, "bfloat16")
    for name in ("train_loss", "development_loss"):
        expected, losses = (
            np.array([row[name] for row in trainer.result().history])
            for trainer in (float32, bfloat16)
        )
        assert not np.array_equal(losses, expected)  # the precision does differ
        np.testing.assert_allclose(losses, expected, rtol=0, atol=0.01)
        assert expected[-1] < expected[0]
    for parameter in bfloat16.model.parameters():
        assert parameter.dtype == torch.float32
    features = make_features(KINDS[kind].inputs)
    expected = probabilities_of(float32.model, features, TEST, "float32")
    actual = probabilities_of(bfloat16.model, features, TEST, "bfloat16")
    np.testing.assert_allclose(actual, expected, rtol=0, atol=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_bfloat16_logits_are_near_float32_and_returned_as_float32(kind: str) -> None:
    model = trained(kind, "float32").model
    features = make_features(KINDS[kind].inputs)
    expected = logits_of(model, features, torch.arange(len(LABELS)))
    actual = logits_of(model, features, torch.arange(len(LABELS)), "bfloat16")
    assert expected.dtype == actual.dtype == torch.float32
    torch.testing.assert_close(actual, expected, rtol=0.02, atol=0.02)


def test_sums_over_frames_are_in_float32() -> None:
    """A running sum of ones in bfloat16 would stop at 256."""
    frames = torch.ones(20_000, 3, dtype=torch.bfloat16)
    lengths = [19_000, 1_000]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        layout = PackedLayout(lengths, torch.device("cpu"))
        sums, means = layout.sum(frames), layout.mean(frames)
        weights = layout.softmax(torch.zeros(20_000, dtype=torch.bfloat16))
    assert sums.dtype == means.dtype == weights.dtype == torch.float32
    assert sums.tolist() == [[19_000.0] * 3, [1_000.0] * 3]
    assert means.tolist() == [[1.0] * 3] * 2
    totals = layout.sum(weights[:, None])[:, 0]
    torch.testing.assert_close(totals, torch.ones(2), rtol=0, atol=1e-4)


@pytest.mark.parametrize("pooling", ["mean", "mean_std", "attention", "attentive_statistics"])
def test_pooling_of_a_long_utterance_is_as_exact_as_of_a_short_one(pooling: Any) -> None:
    """Repeated frames do not change the pooled vector, in any precision."""
    settings = PooledSettings(kind="pooled", projection_size=16, pooling=pooling)
    torch.manual_seed(0)
    model = build_model(settings, [InputShape(4)], 3).eval()
    short = torch.randn(10, 4)
    long = short.repeat(2_000, 1)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        short_logits, long_logits = (
            model(PackedFrames.of(frames, [len(frames)])) for frames in (short, long)
        )
    torch.testing.assert_close(short_logits, long_logits, rtol=1e-4, atol=1e-4)


def test_utterance_linear_is_a_float32_linear_layer_under_autocast() -> None:
    torch.manual_seed(0)
    layer = UtteranceLinear(300, 5)
    linear = nn.Linear(300, 5)
    linear.load_state_dict(layer.state_dict())
    vectors = torch.randn(7, 300)
    expected = linear(vectors)
    assert torch.equal(layer(vectors), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        under_autocast, bfloat16 = layer(vectors), linear(vectors)
        from_bfloat16 = layer(vectors.bfloat16())
    assert under_autocast.dtype == from_bfloat16.dtype == torch.float32
    assert bfloat16.dtype == torch.bfloat16
    assert torch.equal(under_autocast, expected)
    torch.testing.assert_close(from_bfloat16, linear(vectors.bfloat16().float()))


def test_utterance_linear_has_equal_gradients_under_autocast() -> None:
    torch.manual_seed(0)
    layer, vectors = UtteranceLinear(30, 5), torch.randn(7, 30)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = layer(vectors)
    logits.square().sum().backward()
    gradient = layer.weight.grad
    layer.weight.grad = None
    layer(vectors).square().sum().backward()
    assert gradient is not None
    assert layer.weight.grad is not None
    assert torch.equal(gradient, layer.weight.grad)
