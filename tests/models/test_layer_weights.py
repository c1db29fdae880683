from __future__ import annotations

import math

import pytest
import torch

from emoscale.models.layers import LayerWeights, layer_shares


def test_it_is_the_mean_at_first_and_a_softmax_later() -> None:
    frames = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0))
    weigh = LayerWeights(3)
    torch.testing.assert_close(weigh(frames), frames.mean(dim=1))
    with torch.no_grad():
        weigh.scores.copy_(torch.tensor([0.0, math.log(3.0), -100.0]))
    state = {f"layers.1.{name}": value for name, value in weigh.state_dict().items()}
    assert layer_shares(state) == {1: pytest.approx([0.25, 0.75, 0.0])}
    torch.testing.assert_close(weigh(frames), 0.25 * frames[:, 0] + 0.75 * frames[:, 1])


def test_the_weights_learn() -> None:
    frames = torch.stack([torch.zeros(6, 2), torch.ones(6, 2)], dim=1)
    weigh = LayerWeights(2)
    optimiser = torch.optim.SGD(weigh.parameters(), lr=1.0)
    for _ in range(50):
        optimiser.zero_grad()
        (weigh(frames) - 1.0).square().mean().backward()
        optimiser.step()
    assert weigh.scores.softmax(dim=0)[1] > 0.8
