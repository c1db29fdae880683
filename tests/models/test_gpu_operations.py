"""Number of operations of a training step on a GPU, each of which costs the CPU microseconds.

The device without data (meta) stands for the GPU, so the tests need none.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from emoscale.config import parse_settings
from emoscale.config.models import ModelSettings
from emoscale.models.contract import Classifier, InputShape, PackedFrames
from emoscale.models.registry import build_model

META = torch.device("meta")
SPEECH, LAYERED, TEXT = InputShape(6, None, 100.0), InputShape(6, 3, 100.0), InputShape(5)
NETWORKS: dict[str, tuple[list[InputShape], dict[str, Any]]] = {
    "pooled": ([SPEECH], {"kind": "pooled", "pooling": "attentive_statistics"}),
    "layers": ([LAYERED], {"kind": "pooled"}),
    "convolutional": ([SPEECH], {"kind": "convolutional", "layers": [[8, 5], [8, 3]]}),
    "gru": ([SPEECH], {"kind": "recurrent", "hidden_size": 8}),
    "lstm": ([SPEECH], {"kind": "recurrent", "hidden_size": 8, "rnn_type": "lstm"}),
    "early_fusion": ([SPEECH, TEXT], {"kind": "early_fusion"}),
    "late_fusion": (
        [SPEECH, TEXT],
        {"kind": "late_fusion", "branches": [{"kind": "pooled"}, {"kind": "recurrent"}]},
    ),
    "aligned_fusion": (
        [SPEECH, TEXT],
        {"kind": "aligned_fusion", "hidden_size": 8, "num_heads": 2, "within_word": True},
    ),
    "waveform": ([SPEECH], {"kind": "waveform", "layers": [[8, 8, 4], [8, 4, 2]]}),
}


def one_operation(
    self: nn.RNNBase, packed: PackedSequence, _: Tensor | None = None
) -> tuple[PackedSequence, None]:
    """Stand for cuDNN, which computes all steps at once; the meta device would loop over them."""
    weights = torch.stack([parameter.sum() for parameter in self.parameters()]).sum()
    states = packed.data[:, :1].expand(-1, self.hidden_size) * weights
    return PackedSequence(states, packed.batch_sizes), None


def count_operations(model: Classifier, shapes: list[InputShape], frames: int) -> int:
    """Count the operations of a forward and backward pass of four utterances."""
    inputs = []
    for shape in shapes:
        longest = 7 if shape is TEXT else frames
        lengths = [longest, longest // 2, longest // 3 + 1, longest // 2]
        size = (sum(lengths), *([shape.layers] if shape.layers else []), shape.dimension)
        values = torch.empty(size, dtype=torch.float16, device=META)
        seconds = torch.empty(sum(lengths), 2, device=META) if shape is TEXT else None
        inputs.append(PackedFrames(values, lengths, seconds))
    with torch.profiler.profile() as profile:
        torch.stack([logits.sum() for logits in model.training_logits(*inputs)]).sum().backward()
    return sum(event.name.startswith("aten::") for event in profile.events() or [])


@pytest.mark.parametrize("name", NETWORKS)
def test_operations_do_not_depend_on_the_longest_utterance(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nn.GRU, "forward", one_operation)
    monkeypatch.setattr(nn.LSTM, "forward", one_operation)
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # knows no meta device
    shapes, settings = NETWORKS[name]
    model = build_model(parse_settings(ModelSettings, settings, name), shapes, 3).to(META)
    count_operations(model, shapes, 30)  # the first backward pass allocates the gradients
    assert count_operations(model, shapes, 30) == count_operations(model, shapes, 300)
