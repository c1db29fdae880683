from __future__ import annotations

import torch

from emoscale.config.models import PooledSettings
from emoscale.models.contract import InputShape, PackedFrames
from emoscale.models.layers import Standardise
from emoscale.models.registry import build_model

DIMENSION, CLASSES = 5, 3
LENGTHS = [6, 2]


def frames() -> torch.Tensor:
    return torch.randn(sum(LENGTHS), DIMENSION, generator=torch.Generator().manual_seed(0))


def test_it_equals_the_head_of_emobox() -> None:
    settings = PooledSettings(kind="pooled", projection_size=4)
    model = build_model(settings, [InputShape(DIMENSION)], CLASSES).eval()
    weights = model.state_dict()
    hidden = frames() @ weights["project.0.weight"].T + weights["project.0.bias"]
    vectors = [utterance.mean(dim=0) for utterance in torch.split(hidden.clamp(min=0), LENGTHS)]
    expected = torch.stack(vectors) @ weights["classify.weight"].T + weights["classify.bias"]
    torch.testing.assert_close(model(PackedFrames.of(frames(), LENGTHS)), expected)


def test_it_equals_the_head_of_superb() -> None:
    """s3prl's downstream `emotion`: a linear projector, the mean of frames, a linear layer."""
    settings = PooledSettings(kind="pooled", projection_size=4, activation="none")
    model = build_model(settings, [InputShape(DIMENSION)], CLASSES).eval()
    weights = model.state_dict()
    projected = frames() @ weights["project.weight"].T + weights["project.bias"]
    vectors = [utterance.mean(dim=0) for utterance in torch.split(projected, LENGTHS)]
    expected = torch.stack(vectors) @ weights["classify.weight"].T + weights["classify.bias"]
    torch.testing.assert_close(model(PackedFrames.of(frames(), LENGTHS)), expected)


def test_a_constant_dimension_becomes_0() -> None:
    model = build_model(PooledSettings(kind="pooled"), [InputShape(2)], CLASSES)
    (standardise,) = model.standardise
    assert isinstance(standardise, Standardise)
    standardise.set_statistics(torch.tensor([1.0, 7.0]), torch.tensor([2.0, 0.0]))
    assert standardise(torch.tensor([[5.0, 8.0]])).tolist() == [[2.0, 0.0]]
