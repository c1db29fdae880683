from __future__ import annotations

import torch
from safetensors.torch import load, save

from emoscale.config.models import LateFusionSettings, PooledSettings
from emoscale.models.contract import Classifier, InputShape, PackedFrames
from emoscale.models.layers import Standardise
from emoscale.models.registry import build_model

BRANCH = PooledSettings(kind="pooled", projection_size=4)
SETTINGS = LateFusionSettings(kind="late_fusion", branches=(BRANCH, BRANCH))
SHAPES = [InputShape(3, frame_rate=50.0), InputShape(2)]
INPUTS = [
    PackedFrames.of(torch.arange(15.0).view(5, 3).cos(), [2, 3]),
    PackedFrames.of(torch.arange(6.0).view(3, 2).sin(), [1, 2]),
]
MEAN, STD = [torch.ones(3), torch.ones(2)], [torch.full((3,), 2.0), torch.full((2,), 0.5)]


def build() -> tuple[Classifier, list[Classifier]]:
    """Return a late fusion, and models of its branches with the same weights and statistics."""
    torch.manual_seed(0)
    fusion = build_model(SETTINGS, SHAPES, 4)
    torch.manual_seed(0)
    branches = [build_model(BRANCH, [shape], 4) for shape in SHAPES]
    for index, branch in enumerate(branches):
        for standardise in (fusion.standardise[index], branch.standardise[0]):
            assert isinstance(standardise, Standardise)
            standardise.set_statistics(MEAN[index], STD[index])
    return fusion.eval(), [branch.eval() for branch in branches]


@torch.no_grad()
def test_probabilities_are_the_mean_of_the_branches() -> None:
    fusion, branches = build()
    expected = [branch(batch) for branch, batch in zip(branches, INPUTS, strict=True)]
    for logits, expected_logits in zip(fusion.training_logits(*INPUTS), expected, strict=True):
        torch.testing.assert_close(logits, expected_logits)
    mean = (expected[0].softmax(dim=1) + expected[1].softmax(dim=1)) / 2
    torch.testing.assert_close(fusion(*INPUTS).exp(), mean)


def test_a_branch_learns_from_its_loss_only() -> None:
    fusion, _ = build()
    fusion.training_logits(*INPUTS)[0][:, 0].sum().backward()
    learned = {name for name, value in fusion.named_parameters() if value.grad is not None}
    assert learned == {name for name, _ in fusion.named_parameters() if name.startswith("parts.0.")}
    assert learned


@torch.no_grad()
def test_weights_and_statistics_are_saved_once_and_restored() -> None:
    fusion, _ = build()
    saved = save(fusion.state_dict())  # refuses tensors with two names
    other = build_model(SETTINGS, SHAPES, 4)
    other.load_state_dict(load(saved))
    torch.testing.assert_close(other.eval()(*INPUTS), fusion(*INPUTS))
