"""Properties of every model with two inputs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emoscale.config.models import (
    AlignedFusionSettings,
    EarlyFusionSettings,
    LateFusionSettings,
    PooledSettings,
    RecurrentSettings,
)
from emoscale.models.contract import Classifier, InputShape, PackedFrames
from emoscale.models.layers import Standardise
from emoscale.models.registry import build_model

FRAME_RATE = 10.0
SHAPES = [InputShape(5, frame_rate=FRAME_RATE), InputShape(4)]
LAYERED = [InputShape(5, layers=3, frame_rate=FRAME_RATE), InputShape(4, layers=2)]
CLASSES = 3
KINDS: dict[str, Any] = {
    "aligned": AlignedFusionSettings(kind="aligned_fusion", hidden_size=6, num_heads=3),
    "aligned within words": AlignedFusionSettings(
        kind="aligned_fusion", hidden_size=6, num_heads=3, within_word=True
    ),
    "early": EarlyFusionSettings(
        kind="early_fusion", projection_size=6, pooling="attention", hidden_size=7
    ),
    "early, no hidden layer": EarlyFusionSettings(kind="early_fusion", hidden_size=None),
    "late": LateFusionSettings(
        kind="late_fusion",
        branches=(
            RecurrentSettings(kind="recurrent", hidden_size=3),
            PooledSettings(kind="pooled", projection_size=4, dropout=0.2),
        ),
    ),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def build(kind: str, shapes: list[InputShape], classes: int = CLASSES) -> Classifier:
    torch.manual_seed(0)
    return build_model(KINDS[kind], shapes, classes).eval()


def utterances_of(
    lengths: list[tuple[int, int]], shapes: list[InputShape]
) -> list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]:
    """Return frames, tokens and times of tokens; every third token has no known time."""
    random = torch.Generator().manual_seed(1)
    utterances = []
    for counts in lengths:
        sizes = [
            (count, *([shape.layers] if shape.layers else []), shape.dimension)
            for count, shape in zip(counts, shapes, strict=True)
        ]
        speech, text = (torch.randn(size, generator=random) for size in sizes)
        times = torch.rand(counts[1], 2, generator=random) * counts[0] / FRAME_RATE
        times = times.sort(dim=1).values
        times[::3] = torch.nan
        utterances.append((speech, text, times))
    return utterances


def packed(
    utterances: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]],
) -> tuple[PackedFrames, PackedFrames]:
    speech, text, times = zip(*utterances, strict=True)
    return (
        PackedFrames.of(torch.cat(speech), [len(frames) for frames in speech]),
        PackedFrames.of(torch.cat(text), [len(tokens) for tokens in text], torch.cat(times)),
    )


@every_kind
@pytest.mark.parametrize("shapes", [SHAPES, LAYERED], ids=["single", "layered"])
@settings(max_examples=25, deadline=None)
@given(lengths=st.lists(st.tuples(st.integers(1, 30), st.integers(1, 8)), min_size=1, max_size=6))
@torch.no_grad()
def test_an_utterance_does_not_depend_on_its_batch(
    kind: str, shapes: list[InputShape], lengths: list[tuple[int, int]]
) -> None:
    model, utterances = build(kind, shapes), utterances_of(lengths, shapes)
    batched = model(*packed(utterances))
    single = torch.cat([model(*packed([utterance])) for utterance in utterances])
    torch.testing.assert_close(batched, single, rtol=1e-5, atol=1e-5)
    reversed_batch = model(*packed(utterances[::-1]))
    torch.testing.assert_close(batched, reversed_batch.flip(0), rtol=1e-5, atol=1e-5)


@every_kind
@pytest.mark.parametrize("shapes", [SHAPES, LAYERED], ids=["single", "layered"])
def test_every_parameter_learns(kind: str, shapes: list[InputShape]) -> None:
    model = build(kind, shapes).train()
    batch = packed(utterances_of([(20, 6), (9, 4), (30, 7)], shapes))
    labels = torch.tensor([0, 1, 2])
    losses = [
        torch.nn.functional.cross_entropy(logits, labels)
        for logits in model.training_logits(*batch)
    ]
    torch.stack(losses).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 1e-7, name


@every_kind
@torch.no_grad()
def test_frames_are_standardised_and_layers_averaged_first(kind: str) -> None:
    layered, single = build(kind, LAYERED), build(kind, SHAPES)
    batch = packed(utterances_of([(9, 4), (5, 3)], LAYERED))
    means = []
    for standardise, packed_input, shape in zip(layered.standardise, batch, LAYERED, strict=True):
        assert isinstance(standardise, Standardise)
        mean, std = torch.randn(2, shape.layers or 0, shape.dimension).abs() + 0.5
        standardise.set_statistics(mean, std)
        averaged = ((packed_input.frames - mean) / std).mean(dim=1)  # initial weights are equal
        means.append(replace(packed_input, frames=averaged))
    torch.testing.assert_close(layered(*batch), single(*means))


@every_kind
@torch.no_grad()
def test_the_logits_depend_on_both_inputs(kind: str) -> None:
    model = build(kind, SHAPES)
    (speech, text, times), (other_speech, other_text, _) = utterances_of([(9, 4)] * 2, SHAPES)
    logits = model(*packed([(speech, text, times)]))
    assert (model(*packed([(other_speech, text, times)])) - logits).abs().max() > 1e-3
    assert (model(*packed([(speech, other_text, times)])) - logits).abs().max() > 1e-3


def two_bits(count: int, seed: int) -> tuple[PackedFrames, PackedFrames, torch.Tensor]:
    """Return utterances with one noisy bit in the speech and one in the text, and the bits."""
    random = torch.Generator().manual_seed(seed)
    bits = torch.randint(0, 2, (count, 2), generator=random)
    inputs = []
    for index, (shape, maximum_length) in enumerate(zip(SHAPES, (16, 6), strict=True)):
        lengths = torch.randint(2, maximum_length, (count,), generator=random)
        frames = torch.randn(int(lengths.sum()), shape.dimension, generator=random)
        frames[:, 0] += (4.0 * bits[:, index] - 2.0).repeat_interleave(lengths)
        inputs.append(PackedFrames.of(frames, lengths.tolist()))
    return inputs[0], inputs[1], bits


@pytest.mark.parametrize(("kind", "steps"), [("aligned", 40), ("early", 80), ("late", 80)])
def test_it_learns_what_a_single_input_does_not_determine(kind: str, steps: int) -> None:
    """Whether the bits differ; late fusion cannot learn that, so it learns both bits."""
    differ = kind != "late"
    model = build(kind, SHAPES, 2 if differ else 4).train()
    *inputs, bits = two_bits(250, seed=0)
    optimiser = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=0.0)
    for _ in range(steps):
        loss = torch.stack(
            [
                torch.nn.functional.cross_entropy(logits, classes_of(bits, differ))
                for logits in model.training_logits(*inputs)
            ]
        ).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    *inputs, bits = two_bits(300, seed=1)
    with torch.inference_mode():
        predicted = model.eval()(*inputs).argmax(dim=1)
    assert (predicted == classes_of(bits, differ)).float().mean() > 0.95


def classes_of(bits: torch.Tensor, differ: bool) -> torch.Tensor:
    return bits[:, 0] ^ bits[:, 1] if differ else 2 * bits[:, 0] + bits[:, 1]
