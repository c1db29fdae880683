from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from emoscale.models.layers import LayerWeights, Standardise, normalised_layer_weights

UNCHANGED = nn.Identity()


def scores_of(layer_weights: LayerWeights) -> nn.Parameter:
    assert layer_weights.scores is not None
    return layer_weights.scores


def test_weights_are_equal_at_first_and_a_softmax_later() -> None:
    frames = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0))
    layer_weights = LayerWeights(3)
    torch.testing.assert_close(layer_weights(frames, UNCHANGED), frames.mean(dim=1))
    with torch.no_grad():
        scores_of(layer_weights).copy_(torch.tensor([0.0, math.log(3.0), -100.0]))
    state = {f"layers.1.{name}": value for name, value in layer_weights.state_dict().items()}
    assert normalised_layer_weights(state) == {1: pytest.approx([0.25, 0.75, 0.0])}
    expected = 0.25 * frames[:, 0] + 0.75 * frames[:, 1]
    torch.testing.assert_close(layer_weights(frames, UNCHANGED), expected)


def test_the_weights_learn() -> None:
    frames = torch.stack([torch.zeros(6, 2), torch.ones(6, 2)], dim=1)
    layer_weights = LayerWeights(2)
    optimiser = torch.optim.SGD(layer_weights.parameters(), lr=1.0)
    for _ in range(50):
        optimiser.zero_grad()
        (layer_weights(frames, UNCHANGED) - 1.0).square().mean().backward()
        optimiser.step()
    assert scores_of(layer_weights).softmax(dim=0)[1] > 0.8


def standardisation() -> Standardise:
    """Return a standardisation of 4 layers of 32 values."""
    random = torch.Generator().manual_seed(1)
    standardise = Standardise(32, 4)
    standardise.set_statistics(
        torch.randn(4, 32, generator=random), torch.rand(4, 32, generator=random) + 0.5
    )
    return standardise


def test_gradient_of_blocks_is_that_of_all_frames() -> None:
    frames = torch.randn(150, 4, 32, generator=torch.Generator().manual_seed(0)).half()
    standardise, layer_weights = standardisation(), LayerWeights(4)
    scores = scores_of(layer_weights)
    with torch.no_grad():
        scores.copy_(torch.tensor([0.5, -0.2, 0.1, 0.0]))
    mean = layer_weights(frames, standardise)
    (gradient,) = torch.autograd.grad(mean.square().sum(), scores)
    expected = (scores.softmax(dim=0)[:, None] * standardise(frames)).sum(dim=1)
    (expected_gradient,) = torch.autograd.grad(expected.square().sum(), scores)
    torch.testing.assert_close(mean, expected)
    torch.testing.assert_close(gradient, expected_gradient, rtol=1e-5, atol=1e-3)


def test_layers_are_averaged_without_a_float32_copy_of_all() -> None:
    frames, standardise = torch.ones(4000, 4, 32, dtype=torch.float16), standardisation()
    layer_weights = LayerWeights(4)
    with torch.profiler.profile(profile_memory=True) as profile:
        layer_weights(frames, standardise).sum().backward()
    largest = max(event.cpu_memory_usage for event in profile.events() or [])
    assert largest <= 2 * 4000 * 32 * 4  # twice the averaged frames
