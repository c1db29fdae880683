"""Number of operations of a training step on a GPU, each of which costs the CPU microseconds.

The device without data (meta) stands for the GPU, so the tests need none.
"""

from __future__ import annotations

from collections import Counter
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn.utils.rnn import PackedSequence
from torch.utils._python_dispatch import TorchDispatchMode

from emoscale.config import parse_settings
from emoscale.config.models import ModelSettings
from emoscale.models.contract import Classifier, InputShape, PackedFrames
from emoscale.models.registry import build_model
from tests.models.networks import NETWORKS, TEXT

META = torch.device("meta")
LARGEST_COUNT = 300


# They start no kernel.
VIEWS = {"alias", "detach", "expand", "permute", "select", "slice", "split", "split_with_sizes"}
VIEWS |= {"squeeze", "t", "transpose", "unbind", "unsqueeze", "view"}


class CountOperations(TorchDispatchMode):
    """Counts the operations that start a kernel on the device without data."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Any = (), options: Any = None
    ) -> Any:
        result = function(*arguments, **(options or {}))
        name = function.overloadpacket.__name__
        first = result[0] if isinstance(result, tuple | list) else result
        if name not in VIEWS and isinstance(first, Tensor) and first.device == META:
            self.counts[name] += 1
        return result


class OneOperation(Function):
    """Stands for cuDNN, which computes all steps at once; the meta device would loop over them."""

    @staticmethod
    def forward(ctx: Any, frames: Tensor, size: int, *weights: Tensor) -> Tensor:
        ctx.save_for_backward(frames, *weights)
        return frames.new_empty(len(frames), size)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        frames, *weights = map(torch.empty_like, ctx.saved_tensors)
        return frames, None, *weights


def one_operation(
    self: nn.RNNBase, packed: PackedSequence, _: Tensor | None = None
) -> tuple[PackedSequence, None]:
    states = OneOperation.apply(packed.data, 2 * self.hidden_size, *self.parameters())
    return PackedSequence(states, packed.batch_sizes), None


def count_operations(model: Classifier, shapes: list[InputShape], longest: int) -> Counter[str]:
    """Count the operations of a forward and backward pass on 64 utterances of 6,400 frames."""
    inputs = []
    for shape in shapes:
        lengths = [longest, *[(6400 - longest) // 63] * 62]
        lengths.append(6400 - sum(lengths))
        size = (6400, *([shape.layers] if shape.layers else []), shape.dimension)
        values = torch.empty(size, dtype=torch.float16, device=META)
        seconds = torch.empty(6400, 2, device=META) if shape is TEXT else None
        inputs.append(PackedFrames.of(values, lengths, seconds))
    model.zero_grad()
    operations = CountOperations()
    with operations:
        torch.stack([logits.sum() for logits in model.training_logits(*inputs)]).sum().backward()
    return operations.counts


@pytest.mark.parametrize("name", NETWORKS)
def test_few_operations_whatever_the_longest_utterance(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nn.GRU, "forward", one_operation)
    monkeypatch.setattr(nn.LSTM, "forward", one_operation)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # knows no meta device
    shapes, settings = NETWORKS[name]
    model = build_model(parse_settings(ModelSettings, settings, name), shapes, 3).to(META)
    counts = count_operations(model, shapes, 101)
    assert counts == count_operations(model, shapes, 3000)
    assert 10 < counts.total() <= LARGEST_COUNT
