from __future__ import annotations

from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emoscale.config import models as config
from emoscale.models.layers import Pooling
from emoscale.models.packed_layout import PackedLayout

DIMENSION = 3
POOLINGS: tuple[config.Pooling, ...] = get_args(config.Pooling)


def layout_of(lengths: list[int]) -> PackedLayout:
    return PackedLayout(lengths, torch.device("cpu"))


def frames_of(lengths: list[int], scale: float = 1.0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return scale * torch.randn(sum(lengths), DIMENSION, generator=generator)


def build(pooling: config.Pooling) -> Pooling:
    torch.manual_seed(0)
    return Pooling(pooling, DIMENSION)


def test_mean_and_standard_deviation() -> None:
    frames = torch.tensor([[1.0, 0.0, 5.0], [3.0, 4.0, 5.0], [7.0, 8.0, 9.0]])
    assert build("mean")(frames, layout_of([2, 1])).tolist() == [[2.0, 2.0, 5.0], [7.0, 8.0, 9.0]]
    pooled = build("mean_std")(frames, layout_of([2, 1]))
    expected = torch.tensor([[2.0, 2.0, 5.0, 1.0, 2.0, 0.0], [7.0, 8.0, 9.0, 0.0, 0.0, 0.0]])
    torch.testing.assert_close(pooled, expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize("pooling", ["attention", "attentive_statistics"])
def test_attention_equals_okabe(pooling: config.Pooling) -> None:
    """Section 3 of "Attentive statistics pooling" (arXiv:1803.10963), for each utterance."""
    pool, lengths = build(pooling), [4, 1, 9]
    weights = pool.state_dict()
    expected = []
    for frames in torch.split(frames_of(lengths), lengths):
        hidden = torch.tanh(frames @ weights["score.0.weight"].T + weights["score.0.bias"])
        attention_weights = torch.softmax(hidden @ weights["score.2.weight"][0], dim=0)
        mean = (attention_weights[:, None] * frames).sum(0)
        square = (attention_weights[:, None] * frames**2).sum(0)
        std = (square - mean**2 + 1e-6).sqrt()
        expected.append(mean if pooling == "attention" else torch.cat([mean, std]))
    pooled = pool(frames_of(lengths), layout_of(lengths))
    torch.testing.assert_close(pooled, torch.stack(expected), rtol=1e-4, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 60), min_size=1, max_size=7), st.sampled_from(POOLINGS))
def test_an_utterance_does_not_depend_on_its_batch(
    lengths: list[int], pooling: config.Pooling
) -> None:
    pool, frames = build(pooling), frames_of(lengths, scale=20.0)
    batched = pool(frames, layout_of(lengths))
    assert batched.shape == (len(lengths), pool.output_size)
    single = [
        pool(utterance, layout_of([len(utterance)])) for utterance in torch.split(frames, lengths)
    ]
    torch.testing.assert_close(batched, torch.cat(single), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("pooling", POOLINGS)
def test_gradients_are_correct_and_finite_for_one_frame(pooling: config.Pooling) -> None:
    pool = build(pooling).double()
    frames = frames_of([4, 1, 2]).double().requires_grad_()
    assert torch.autograd.gradcheck(lambda values: pool(values, layout_of([4, 1, 2])), [frames])
    pool(frames, layout_of([4, 1, 2])).sum().backward()
    assert frames.grad is not None
    assert frames.grad.isfinite().all()


def test_large_attention_logits_do_not_overflow() -> None:
    pool = build("attention")
    assert pool.score is not None
    with torch.no_grad():
        next(pool.score.parameters()).mul_(1e4)
        list(pool.score.parameters())[-1].mul_(1e4)
    assert pool(frames_of([5, 7], scale=100.0), layout_of([5, 7])).isfinite().all()
