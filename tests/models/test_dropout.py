"""Dropout that draws from a stream of its own."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from emoscale.models.dropout import Dropout, draw_dropout_from


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def dropout_of(share: float, seed: int = 0) -> Dropout:
    dropout = Dropout(share).train()
    dropout.generator = seeded(seed)
    return dropout


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_what_is_kept_is_scaled_so_that_the_expectation_stays(share: float) -> None:
    given = torch.rand(400, 500, generator=seeded(1)) + 1.0
    dropped = dropout_of(share)(given)
    kept = dropped != 0.0
    assert float(kept.float().mean()) == pytest.approx(1.0 - share, abs=0.005)
    torch.testing.assert_close(dropped[kept], given[kept] / (1.0 - share), rtol=1e-4, atol=0)
    assert float(dropped.mean()) == pytest.approx(float(given.mean()), rel=0.03)


def test_each_value_is_dropped_by_itself() -> None:
    dropped = dropout_of(0.5)(torch.ones(200, 200)) == 0.0
    for dimension in (0, 1):
        assert float(dropped.float().mean(dim=dimension).max()) < 0.75


def test_the_gradient_is_that_of_the_kept_values() -> None:
    given = torch.ones(50, requires_grad=True)
    dropped = dropout_of(0.4)(given)
    dropped.sum().backward()
    assert given.grad is not None
    torch.testing.assert_close(given.grad, dropped.detach())


def test_nothing_is_dropped_or_drawn_outside_training_or_without_a_share() -> None:
    given = torch.rand(100)
    for dropout in (dropout_of(0.5).eval(), dropout_of(0.0)):
        assert dropout(given) is given
        dropout.train().share = 0.5
        assert torch.equal(dropout(given), dropout_of(0.5)(given))  # its stream's first draw


def test_its_stream_is_its_own() -> None:
    given = torch.ones(1000)
    one, other = dropout_of(0.5, 7), dropout_of(0.5, 7)
    torch.manual_seed(0)
    first = [one(given) for _ in range(3)]
    torch.manual_seed(1)
    torch.rand(17)
    before = torch.get_rng_state()
    second = [other(given) for _ in range(3)]
    assert torch.equal(torch.get_rng_state(), before)  # and it draws from no other
    for mine, theirs in zip(first, second, strict=True):
        assert torch.equal(mine, theirs)
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(first[0], dropout_of(0.5, 8)(given))


def test_all_of_a_model_draw_from_one_generator() -> None:
    model = nn.Sequential(Dropout(0.5), nn.Sequential(nn.ReLU(), Dropout(0.2)), nn.Linear(3, 2))
    generator = seeded(0)
    draw_dropout_from(model, generator)
    found = [module.generator for module in model.modules() if isinstance(module, Dropout)]
    assert len(found) == 2
    assert all(own is generator for own in found)


def test_a_share_next_to_one_leaves_numbers() -> None:
    assert dropout_of(0.999999)(torch.ones(1000)).isfinite().all()
