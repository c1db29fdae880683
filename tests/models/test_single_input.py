"""Properties of every model with one input."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emoscale.config.models import (
    ConvolutionalSettings,
    PooledSettings,
    RecurrentSettings,
    WaveformModelSettings,
)
from emoscale.models.contract import InputShape, PackedFrames, SingleInputClassifier
from emoscale.models.layers import LayerWeights, Standardise
from emoscale.models.registry import build_model

DIMENSION, LAYERS, CLASSES = 5, 4, 3
KINDS: dict[str, Any] = {
    "pooled": PooledSettings(kind="pooled", projection_size=6, dropout=0.5),
    "pooled, SUPERB": PooledSettings(kind="pooled", projection_size=6, activation="none"),
    "pooled, no projection": PooledSettings(
        kind="pooled", projection_size=None, pooling="mean_std"
    ),
    "pooled, attentive": PooledSettings(
        kind="pooled", projection_size=6, pooling="attentive_statistics"
    ),
    "convolutional": ConvolutionalSettings(
        kind="convolutional", layers=((6, 1), (4, 1)), hidden_size=3
    ),
    "convolutional, wide": ConvolutionalSettings(
        kind="convolutional", layers=((6, 5), (4, 3)), hidden_size=None, pooling="attention"
    ),
    "recurrent": RecurrentSettings(kind="recurrent", hidden_size=4, num_layers=2),
    "recurrent, lstm": RecurrentSettings(
        kind="recurrent", rnn_type="lstm", hidden_size=4, pooling="mean"
    ),
    "waveform": WaveformModelSettings(kind="waveform", layers=((6, 4, 2), (5, 2, 1))),
}


def frames_of(lengths: list[int], layers: int | None = None) -> torch.Tensor:
    shape = (sum(lengths), *([] if layers is None else [layers]), DIMENSION)
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def build(kind: str, layers: int | None = None) -> SingleInputClassifier:
    torch.manual_seed(0)
    model = build_model(KINDS[kind], [InputShape(DIMENSION, layers, 100.0)], CLASSES)
    assert isinstance(model, SingleInputClassifier)
    return model


def set_statistics(model: SingleInputClassifier, mean: torch.Tensor, std: torch.Tensor) -> None:
    (standardise,) = model.standardise
    assert isinstance(standardise, Standardise)
    standardise.set_statistics(mean, std)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=20, deadline=None)
@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=7))
def test_an_utterance_does_not_depend_on_its_batch(kind: str, lengths: list[int]) -> None:
    model, frames = build(kind).eval(), frames_of(lengths)
    with torch.inference_mode():
        batched = model(PackedFrames.of(frames, lengths))
        single = [
            model(PackedFrames.of(each, [len(each)])) for each in torch.split(frames, lengths)
        ]
    assert batched.shape == (len(lengths), CLASSES)
    torch.testing.assert_close(batched, torch.cat(single), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layers", [None, LAYERS])
def test_every_parameter_learns(kind: str, layers: int | None) -> None:
    model = build(kind, layers).eval()
    lengths = [12, 1, 20]
    model(PackedFrames.of(frames_of(lengths, layers), lengths)).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("kind", KINDS)
def test_dropout_acts_in_training_only(kind: str) -> None:
    model = build(kind)
    batch = PackedFrames.of(frames_of([30, 20]), [30, 20])
    equal = torch.equal(model.train()(batch), model.train()(batch))
    assert equal is (KINDS[kind].dropout == 0.0)
    assert torch.equal(model.eval()(batch), model.eval()(batch))


@pytest.mark.parametrize("kind", KINDS)
def test_frames_are_standardised_first(kind: str) -> None:
    model = build(kind).eval()
    mean, std = torch.arange(DIMENSION) * 10.0, torch.arange(1.0, DIMENSION + 1.0)
    frames = frames_of([25])
    expected = model(PackedFrames.of(frames, [25]))
    set_statistics(model, mean, std)
    logits = model(PackedFrames.of(frames * std + mean, [25]))
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    assert "standardise.0.mean" in model.state_dict()


@pytest.mark.parametrize("kind", KINDS)
def test_layers_are_standardised_and_then_averaged(kind: str) -> None:
    layered, single = build(kind, LAYERS).eval(), build(kind).eval()
    layer_weights = layered.layers[0]
    assert isinstance(layer_weights, LayerWeights)
    assert layer_weights.scores is not None
    mean = torch.randn(LAYERS, DIMENSION, generator=torch.Generator().manual_seed(1))
    set_statistics(layered, mean, torch.full((LAYERS, DIMENSION), 2.0))
    with torch.no_grad():
        layer_weights.scores.copy_(torch.tensor([0.3, -0.2, 0.0, 1.0]))
    rest = {name: value for name, value in layered.state_dict().items() if "standard" not in name}
    single.load_state_dict(rest, strict=False)
    frames, weights = frames_of([25], LAYERS), layer_weights.scores.detach().softmax(dim=0)
    averaged = torch.einsum("tld,l->td", (frames - mean) / 2.0, weights)
    torch.testing.assert_close(
        layered(PackedFrames.of(frames, [25])),
        single(PackedFrames.of(averaged, [25])),
    )
