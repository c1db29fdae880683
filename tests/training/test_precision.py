"""Products in bfloat16: near float32, with sums and the last layers in float32."""

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
from emoscale.models.layers import Segments, UtteranceLinear
from emoscale.models.registry import BUILT_IN, build_model
from emoscale.training.engine import logits_of, probabilities_of, run
from emoscale.training.trainer import Trainer
from tests.training.test_engine import LABELS, SETTINGS, TEST, task_of, trainer_of
from tests.training.test_packed_and_padded import make_features

PART = PooledSettings(kind="pooled", projection_size=6)
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
    "late_fusion": LateFusionSettings(kind="late_fusion", branches=(PART, PART)),
}


def test_every_network_is_tested() -> None:
    assert {settings.kind for settings in KINDS.values()} == BUILT_IN.keys() - {"estimator"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_weight_learns(kind: str) -> None:
    settings = SETTINGS.model_copy(update={"maximum_steps": 1})
    trainer = trainer_of(make_features(KINDS[kind].inputs), task_of(settings), KINDS[kind])
    run(trainer)
    for name, parameter in trainer.model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


@cache  # two tests ask for the one in float32
def trained(kind: str, precision: str) -> Trainer:
    change = {"precision": precision, "early_stopping": False, "maximum_steps": 60}
    # At a rate at which rounding does not send two trainings to other minima.
    settings = SETTINGS.model_copy(update={**change, "learning_rate": 0.003})
    trainer = trainer_of(make_features(KINDS[kind].inputs), task_of(settings), KINDS[kind])
    run(trainer)
    return trainer


@pytest.mark.parametrize("kind", KINDS)
def test_a_training_in_bfloat16_comes_near_one_in_float32(kind: str) -> None:
    exact, coarse = trained(kind, "float32"), trained(kind, "bfloat16")
    for name in ("train_loss", "development_loss"):
        one, other = (
            np.array([row[name] for row in trainer.result().history]) for trainer in (exact, coarse)
        )
        assert not np.array_equal(one, other)  # it is another precision
        np.testing.assert_allclose(other, one, rtol=0, atol=0.01)
        assert one[-1] < one[0]
    for parameter in coarse.model.parameters():
        assert parameter.dtype == torch.float32
    features = make_features(KINDS[kind].inputs)
    one = probabilities_of(exact.model, features, TEST, "float32")
    other = probabilities_of(coarse.model, features, TEST, "bfloat16")
    np.testing.assert_allclose(other, one, rtol=0, atol=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_a_models_predictions_are_near_in_both_and_come_in_float32(kind: str) -> None:
    model = trained(kind, "float32").model
    features = make_features(KINDS[kind].inputs)
    exact = logits_of(model, features, torch.arange(len(LABELS)))
    coarse = logits_of(model, features, torch.arange(len(LABELS)), "bfloat16")
    assert exact.dtype == coarse.dtype == torch.float32
    torch.testing.assert_close(coarse, exact, rtol=0.02, atol=0.02)


def test_sums_over_frames_are_in_float32() -> None:
    """20,000 ones are 256 when they are added one by one in bfloat16."""
    frames = torch.ones(20_000, 3, dtype=torch.bfloat16)
    lengths = [19_000, 1_000]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        segments = Segments(lengths, torch.device("cpu"))
        sums, means = segments.sum(frames), segments.mean(frames)
        shares = segments.softmax(torch.zeros(20_000, dtype=torch.bfloat16))
    assert sums.dtype == means.dtype == shares.dtype == torch.float32
    assert sums.tolist() == [[19_000.0] * 3, [1_000.0] * 3]
    assert means.tolist() == [[1.0] * 3] * 2
    summed = segments.sum(shares[:, None])[:, 0]
    torch.testing.assert_close(summed, torch.ones(2), rtol=0, atol=1e-4)


@pytest.mark.parametrize("pooling", ["mean", "mean_std", "attention", "attentive_statistics"])
def test_a_long_utterance_is_pooled_as_well_as_a_short_one(pooling: Any) -> None:
    """Its frames repeat those of the short one, so its vector is the same; in any precision."""
    settings = PooledSettings(kind="pooled", projection_size=16, pooling=pooling)
    torch.manual_seed(0)
    model = build_model(settings, [InputShape(4)], 3).eval()
    short = torch.randn(10, 4)
    long = short.repeat(2_000, 1)
    with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
        one, other = (model(PackedFrames(each, [len(each)])) for each in (short, long))
    torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_a_layer_over_utterances_is_a_linear_layer_in_float32() -> None:
    torch.manual_seed(0)
    layer = UtteranceLinear(300, 5)
    plain = nn.Linear(300, 5)
    plain.load_state_dict(layer.state_dict())
    vectors = torch.randn(7, 300)
    expected = plain(vectors)
    assert torch.equal(layer(vectors), expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside, coarse = layer(vectors), plain(vectors)
        of_coarse = layer(vectors.bfloat16())
    assert inside.dtype == of_coarse.dtype == torch.float32
    assert coarse.dtype == torch.bfloat16
    assert torch.equal(inside, expected)
    torch.testing.assert_close(of_coarse, plain(vectors.bfloat16().float()))


def test_a_layer_over_utterances_learns_as_one_outside_would() -> None:
    torch.manual_seed(0)
    layer, vectors = UtteranceLinear(30, 5), torch.randn(7, 30)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = layer(vectors)
    logits.square().sum().backward()
    inside = layer.weight.grad
    layer.weight.grad = None
    layer(vectors).square().sum().backward()
    assert inside is not None
    assert layer.weight.grad is not None
    assert torch.equal(inside, layer.weight.grad)
