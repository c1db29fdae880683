from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emoscale.config import parse_settings
from emoscale.config.models import WaveformModelSettings
from emoscale.models.contract import InputShape, PackedFrames
from emoscale.models.layers import Standardise
from emoscale.models.registry import build_model
from emoscale.models.waveform import WaveformNetwork
from emoscale.runtime.errors import ConfigurationError

SETTINGS = WaveformModelSettings(
    kind="waveform", layers=((4, 8, 4), (6, 5, 2), (5, 2, 1)), dropout=0.5
)
CLASSES = 3


def build() -> WaveformNetwork:
    torch.manual_seed(0)
    model = build_model(SETTINGS, [InputShape(1)], CLASSES).eval()
    assert isinstance(model, WaveformNetwork)
    (standardise,) = model.standardise
    assert isinstance(standardise, Standardise)
    standardise.set_statistics(torch.tensor([0.1]), torch.tensor([2.0]))
    return model


def samples_of(lengths: list[int]) -> torch.Tensor:
    return torch.randn(sum(lengths), 1, generator=torch.Generator().manual_seed(1))


def test_hop_and_receptive_field() -> None:
    model = build()
    assert (model.hop, model.receptive_field) == (8, 8 + 4 * 4 + 1 * 8)
    default = build_model(WaveformModelSettings(kind="waveform"), [InputShape(1)], CLASSES)
    assert isinstance(default, WaveformNetwork)
    assert (default.hop / 16, default.receptive_field / 16) == (20.0, 58.75)  # milliseconds


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 120), min_size=1, max_size=6))
def test_an_utterance_does_not_depend_on_its_batch(lengths: list[int]) -> None:
    model, samples = build(), samples_of(lengths)
    with torch.inference_mode():
        batched = model(PackedFrames.of(samples, lengths))
        single = [
            model(PackedFrames.of(each, [len(each)])) for each in torch.split(samples, lengths)
        ]
    torch.testing.assert_close(batched, torch.cat(single), rtol=1e-5, atol=1e-6)


@torch.inference_mode()
def test_it_equals_torchs_layers() -> None:
    model, samples = build(), samples_of([100])
    frames = ((samples - 0.1) / 2.0).T[None]
    weights = model.state_dict()
    for number, stride in enumerate((4, 2, 1)):
        name = f"convolutions.{number}"
        frames = torch.nn.functional.conv1d(
            frames,
            weights[f"{name}.convolution.weight"],
            weights[f"{name}.convolution.bias"],
            stride,
        )
        mean, variance = frames.mean(1, keepdim=True), frames.var(1, keepdim=True, correction=0)
        frames = ((frames - mean) / (variance + 1e-5).sqrt()).clamp(min=0)
    expected = frames[0].mean(1) @ weights["classify.weight"].T + weights["classify.bias"]
    torch.testing.assert_close(model(PackedFrames.of(samples, [100]))[0], expected)


def test_every_weight_learns() -> None:
    model = build()
    model(PackedFrames.of(samples_of([60, 70]), [60, 70])).square().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ([0, 8, 4], "layers.0.0: Input should be greater than or equal to 1$"),
        ([4, 3, 4], "channels, kernel and stride"),
        ([4, 3, 0], "channels, kernel and stride"),
    ],
)
def test_invalid_layers_are_refused(layer: list[int], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse_settings(WaveformModelSettings, {"kind": "waveform", "layers": [layer]}, "model")
