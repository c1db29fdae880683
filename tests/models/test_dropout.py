"""Dropout with its own random generator."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from emoscale.models.layers import Dropout, set_dropout_generator


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def build(p: float, seed: int = 0) -> Dropout:
    dropout = Dropout(p).train()
    dropout.generator = seeded(seed)
    return dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_remaining_values_are_scaled_to_the_same_expectation(p: float) -> None:
    values = torch.rand(400, 500, generator=seeded(1)) + 1.0
    dropped = build(p)(values)
    remaining = dropped != 0.0
    assert float(remaining.float().mean()) == pytest.approx(1.0 - p, abs=0.005)
    torch.testing.assert_close(dropped[remaining], values[remaining] / (1.0 - p), rtol=1e-4, atol=0)
    assert float(dropped.mean()) == pytest.approx(float(values.mean()), rel=0.03)


def test_values_are_dropped_independently() -> None:
    dropped = build(0.5)(torch.ones(200, 200)) == 0.0
    for dimension in (0, 1):
        assert float(dropped.float().mean(dim=dimension).max()) < 0.75


def test_the_gradient_is_zero_for_dropped_values() -> None:
    values = torch.ones(50, requires_grad=True)
    dropped = build(0.4)(values)
    dropped.sum().backward()
    assert values.grad is not None
    torch.testing.assert_close(values.grad, dropped.detach())


def test_evaluation_and_p_of_0_drop_nothing_and_sample_nothing() -> None:
    values = torch.rand(100)
    for dropout in (build(0.5).eval(), build(0.0)):
        assert dropout(values) is values
        dropout.train().p = 0.5
        assert torch.equal(dropout(values), build(0.5)(values))  # the first sample of its generator


def test_it_samples_from_its_generator_only() -> None:
    values = torch.ones(1000)
    one, other = build(0.5, 7), build(0.5, 7)
    torch.manual_seed(0)
    first = [one(values) for _ in range(3)]
    torch.manual_seed(1)
    torch.rand(17)
    before = torch.get_rng_state()
    second = [other(values) for _ in range(3)]
    assert torch.equal(torch.get_rng_state(), before)  # no other generator is used
    for one_output, other_output in zip(first, second, strict=True):
        assert torch.equal(one_output, other_output)
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], build(0.5, 8)(values))


def test_all_dropout_layers_of_a_model_share_one_generator() -> None:
    model = nn.Sequential(Dropout(0.5), nn.Sequential(nn.ReLU(), Dropout(0.2)), nn.Linear(3, 2))
    generator = seeded(0)
    set_dropout_generator(model, generator)
    generators = [module.generator for module in model.modules() if isinstance(module, Dropout)]
    assert len(generators) == 2
    assert all(each is generator for each in generators)


def test_p_close_to_1_gives_finite_values() -> None:
    assert build(0.999999)(torch.ones(1000)).isfinite().all()
