from __future__ import annotations

import math

import pytest
import torch

from emoscale.models.layers import LayerWeights, normalised_layer_weights


def test_weights_are_equal_at_first_and_a_softmax_later() -> None:
    frames = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0))
    layer_weights = LayerWeights(3)
    torch.testing.assert_close(layer_weights(frames), frames.mean(dim=1))
    with torch.no_grad():
        layer_weights.scores.copy_(torch.tensor([0.0, math.log(3.0), -100.0]))
    state = {f"layers.1.{name}": value for name, value in layer_weights.state_dict().items()}
    assert normalised_layer_weights(state) == {1: pytest.approx([0.25, 0.75, 0.0])}
    torch.testing.assert_close(layer_weights(frames), 0.25 * frames[:, 0] + 0.75 * frames[:, 1])


def test_the_weights_learn() -> None:
    frames = torch.stack([torch.zeros(6, 2), torch.ones(6, 2)], dim=1)
    layer_weights = LayerWeights(2)
    optimiser = torch.optim.SGD(layer_weights.parameters(), lr=1.0)
    for _ in range(50):
        optimiser.zero_grad()
        (layer_weights(frames) - 1.0).square().mean().backward()
        optimiser.step()
    assert layer_weights.scores.softmax(dim=0)[1] > 0.8
