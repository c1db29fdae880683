from __future__ import annotations

import torch
from safetensors.torch import load, save

from emoscale.config.models import LateFusionSettings, PooledSettings
from emoscale.models.contract import Classifier, InputShape, PackedFrames
from emoscale.models.layers import Standardise
from emoscale.models.registry import build_model

PART = PooledSettings(kind="pooled", projection_size=4)
SETTINGS = LateFusionSettings(kind="late_fusion", branches=(PART, PART))
SHAPES = [InputShape(3, frame_rate=50.0), InputShape(2)]
INPUTS = [
    PackedFrames(torch.arange(15.0).view(5, 3).cos(), [2, 3]),
    PackedFrames(torch.arange(6.0).view(3, 2).sin(), [1, 2]),
]
MEAN, DEVIATION = [torch.ones(3), torch.ones(2)], [torch.full((3,), 2.0), torch.full((2,), 0.5)]


def build() -> tuple[Classifier, list[Classifier]]:
    """A late fusion, and models of its parts with the same weights and statistics."""
    torch.manual_seed(0)
    fusion = build_model(SETTINGS, SHAPES, 4)
    torch.manual_seed(0)
    parts = [build_model(PART, [shape], 4) for shape in SHAPES]
    for place, part in enumerate(parts):
        for standardise in (fusion.standardise[place], part.standardise[0]):
            assert isinstance(standardise, Standardise)
            standardise.set_statistics(MEAN[place], DEVIATION[place])
    return fusion.eval(), [part.eval() for part in parts]


@torch.no_grad()
def test_probabilities_are_the_mean_of_the_parts() -> None:
    fusion, parts = build()
    logits = [part(given) for part, given in zip(parts, INPUTS, strict=True)]
    for own, alone in zip(fusion.training_logits(*INPUTS), logits, strict=True):
        torch.testing.assert_close(own, alone)
    expected = (logits[0].softmax(dim=1) + logits[1].softmax(dim=1)) / 2
    torch.testing.assert_close(fusion(*INPUTS).exp(), expected)


def test_a_part_learns_from_its_own_loss() -> None:
    fusion, _ = build()
    fusion.training_logits(*INPUTS)[0][:, 0].sum().backward()
    learned = {name for name, value in fusion.named_parameters() if value.grad is not None}
    assert learned == {name for name, _ in fusion.named_parameters() if name.startswith("parts.0.")}
    assert learned


@torch.no_grad()
def test_weights_and_statistics_are_saved_once_and_come_back() -> None:
    fusion, _ = build()
    saved = save(fusion.state_dict())  # refuses tensors with two names
    other = build_model(SETTINGS, SHAPES, 4)
    other.load_state_dict(load(saved))
    torch.testing.assert_close(other.eval()(*INPUTS), fusion(*INPUTS))
