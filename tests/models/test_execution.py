"""Every kind of network computes the same numbers in the way of a CPU and in that of a GPU."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from emoscale.config import parse_settings
from emoscale.config.models import ModelSettings
from emoscale.models.contract import Classifier, InputShape, PackedFrames
from emoscale.models.execution import force_few_operations, prefers_few_operations
from emoscale.models.layers import set_dropout_generator
from emoscale.models.registry import build_model
from tests.models.networks import NETWORKS, TEXT

CPU = torch.device("cpu")
LENGTHS = [31, 1, 90, 12]


def batch_of(shape: InputShape) -> PackedFrames:
    generator = torch.Generator().manual_seed(shape.dimension)
    lengths = [5, 1, 3, 7] if shape is TEXT else LENGTHS
    size = (sum(lengths), *([shape.layers] if shape.layers else []), shape.dimension)
    frames = torch.randn(size, generator=generator).half()
    seconds = None
    if shape is TEXT:
        starts = torch.rand(sum(lengths), 1, generator=generator)
        seconds = torch.cat([starts, starts + 0.2], dim=1)
        seconds[3] = torch.nan
    return PackedFrames.of(frames, lengths, seconds)


def step(
    model: Classifier, inputs: list[PackedFrames], few: bool
) -> tuple[Tensor, dict[str, Tensor | None]]:
    """Return the probabilities, and the gradients of a training step with dropout."""
    with force_few_operations(few):
        probabilities = model.eval()(*inputs).softmax(dim=1).detach()
        set_dropout_generator(model.train(), torch.Generator().manual_seed(0))
        model.zero_grad()
        losses = [
            logits.log_softmax(dim=1)[:, 0].sum() for logits in model.training_logits(*inputs)
        ]
        torch.stack(losses).sum().backward()
    return probabilities, {name: each.grad for name, each in model.named_parameters()}


@pytest.mark.parametrize("name", NETWORKS)
def test_both_ways_give_the_same_probabilities_and_gradients(name: str) -> None:
    shapes, settings = NETWORKS[name]
    torch.manual_seed(0)
    model = build_model(parse_settings(ModelSettings, settings, name), shapes, 3)
    for standardise in model.standardisations():
        standardise.set_statistics(
            torch.full_like(standardise.mean, 0.1), torch.full_like(standardise.mean, 1.5), 1.0
        )
    inputs = [batch_of(shape) for shape in shapes]
    probabilities, gradients = step(model, inputs, few=False)
    other_probabilities, other_gradients = step(model, inputs, few=True)
    torch.testing.assert_close(other_probabilities, probabilities, rtol=0.0, atol=1e-6)
    for parameter, gradient in gradients.items():
        torch.testing.assert_close(
            other_gradients[parameter], gradient, rtol=1e-4, atol=1e-6, msg=parameter
        )


def test_attention_of_a_gpu_is_one_product(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []
    attend = torch.nn.functional.scaled_dot_product_attention

    def counted(*arguments: Any, **options: Any) -> Tensor:
        calls.append(arguments)
        return attend(*arguments, **options)

    name = "emoscale.models.aligned_attention.scaled_dot_product_attention"
    monkeypatch.setattr(name, counted)
    shapes, settings = NETWORKS["aligned_fusion"]
    model = build_model(parse_settings(ModelSettings, settings, "aligned_fusion"), shapes, 3)
    inputs = [batch_of(shape) for shape in shapes]
    counts = []
    for few in (False, True):
        calls.clear()
        step(model, inputs, few)
        counts.append(len(calls))
    assert counts == [2 * len(LENGTHS), 2]


def test_the_device_decides_unless_a_way_is_forced() -> None:
    assert [prefers_few_operations(torch.device(each)) for each in ("cpu", "meta")] == [False, True]
    with force_few_operations(True):
        assert prefers_few_operations(CPU)
    assert not prefers_few_operations(CPU)
