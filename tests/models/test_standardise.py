"""Standardisation by the training subset: dimensions that do not vary, and the bound."""

from __future__ import annotations

import torch

from emoscale.models.layers import Standardise


def test_only_dimensions_that_vary_are_scaled() -> None:
    """Rounding errors of float32 are no variation; a small unit is."""
    standardise = Standardise(4)
    mean = torch.tensor([7.0, 3e4, 0.0, 1e-8])
    standardise.set_statistics(mean, torch.tensor([0.0, 3e-3, 0.0, 2e-8]))
    values = torch.tensor([[8.0, 3e4 + 1.0, 5.0, 5e-8]])
    assert standardise(values).tolist() == [[0.0, 0.0, 0.0, 2.0]]


def test_the_result_is_bounded() -> None:
    standardise = Standardise(2)
    values = torch.tensor([[100.0, -100.0], [9.0, 1.0]])
    statistics = torch.ones(2), torch.full((2,), 2.0)
    standardise.set_statistics(*statistics)
    assert standardise(values).tolist() == [[49.5, -50.5], [4.0, 0.0]]
    standardise.set_statistics(*statistics, bound=10.0)
    assert standardise(values).tolist() == [[10.0, -10.0], [4.0, 0.0]]
    restored = Standardise(2)
    restored.load_state_dict(standardise.state_dict())
    assert restored(values).equal(standardise(values))
