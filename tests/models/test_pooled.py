from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emoscale.config.models import PooledSettings
from emoscale.models.contract import PackedFrames
from emoscale.models.registry import build_model

DIMENSION, CLASSES = 5, 3


def frames_of(lengths: list[int], seed: int = 0) -> torch.Tensor:
    return torch.randn(sum(lengths), DIMENSION, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 40), min_size=1, max_size=7))
def test_an_utterance_does_not_depend_on_its_batch(lengths: list[int]) -> None:
    torch.manual_seed(0)
    model = build_model(PooledSettings(kind="pooled", dropout=0.5), DIMENSION, CLASSES).eval()
    frames = frames_of(lengths)
    together = model(PackedFrames(frames, lengths))
    alone = [model(PackedFrames(part, [len(part)])) for part in torch.split(frames, lengths)]
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-5, atol=1e-6)


def test_it_is_the_head_that_it_says() -> None:
    torch.manual_seed(0)
    model = build_model(PooledSettings(kind="pooled", width=4), DIMENSION, CLASSES).eval()
    mean, deviation = torch.randn(DIMENSION), torch.rand(DIMENSION) + 0.5
    model.standardise.set_statistics(mean, deviation)
    frames = frames_of([6])
    weights = model.state_dict()
    hidden = ((frames - mean) / deviation) @ weights["project.weight"].T + weights["project.bias"]
    pooled = hidden.clamp(min=0).mean(dim=0)
    expected = pooled @ weights["classify.weight"].T + weights["classify.bias"]
    torch.testing.assert_close(model(PackedFrames(frames, [6]))[0], expected)


def test_statistics_are_saved_with_the_model_and_constant_dimensions_are_only_centred() -> None:
    model = build_model(PooledSettings(kind="pooled"), 2, CLASSES)
    model.standardise.set_statistics(torch.tensor([1.0, 7.0]), torch.tensor([2.0, 0.0]))
    assert {"standardise.mean", "standardise.scale"} <= model.state_dict().keys()
    assert model.standardise(torch.tensor([[5.0, 8.0]])).tolist() == [[2.0, 1.0]]


@pytest.mark.parametrize("name", ["project.weight", "project.bias", "classify.weight"])
def test_every_part_learns(name: str) -> None:
    model = build_model(PooledSettings(kind="pooled"), DIMENSION, CLASSES)
    model(PackedFrames(frames_of([3, 4]), [3, 4]))[:, 0].sum().backward()
    gradient = dict(model.named_parameters())[name].grad
    assert gradient is not None
    assert gradient.abs().sum() > 0
