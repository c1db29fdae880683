from __future__ import annotations

from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from emoscale.models.recurrent_encoder import RecurrentEncoder

DIMENSION, WIDTH = 5, 3
CELLS: tuple[Literal["gru", "lstm"], ...] = ("gru", "lstm")


def frames_of(lengths: list[int]) -> torch.Tensor:
    return torch.randn(sum(lengths), DIMENSION, generator=torch.Generator().manual_seed(0))


def build(cell: Literal["gru", "lstm"], depth: int, dropout: float = 0.0) -> RecurrentEncoder:
    torch.manual_seed(0)
    return RecurrentEncoder(DIMENSION, cell, WIDTH, depth, dropout)


def torch_network(
    encoder: RecurrentEncoder, cell: Literal["gru", "lstm"], depth: int
) -> nn.RNNBase:
    """torch's own bidirectional network with the encoder's weights."""
    kind = nn.GRU if cell == "gru" else nn.LSTM
    network = kind(DIMENSION, WIDTH, depth, bidirectional=True)
    weights = {}
    for layer in range(depth):
        for direction, suffix in ((encoder.forwards, ""), (encoder.backwards, "_reverse")):
            for name, value in direction[layer].state_dict().items():
                weights[name.replace("l0", f"l{layer}") + suffix] = value
    network.load_state_dict(weights)
    return network


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("depth", [1, 3])
def test_it_is_torchs_bidirectional_network(cell: Literal["gru", "lstm"], depth: int) -> None:
    encoder, lengths = build(cell, depth), [4, 1, 7]
    frames = frames_of(lengths)
    network = torch_network(encoder, cell, depth)
    expected = torch.cat([network(part)[0] for part in torch.split(frames, lengths)])
    torch.testing.assert_close(encoder(frames, lengths), expected)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.sampled_from(CELLS))
def test_an_utterance_does_not_depend_on_its_batch(
    lengths: list[int], cell: Literal["gru", "lstm"]
) -> None:
    encoder, frames = build(cell, 2, dropout=0.5).eval(), frames_of(lengths)
    with torch.inference_mode():
        together = encoder(frames, lengths)
        alone = [encoder(part, [len(part)]) for part in torch.split(frames, lengths)]
    assert together.shape == (sum(lengths), 2 * WIDTH)
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-5, atol=1e-6)


def test_gradients_do_not_depend_on_the_batch_either() -> None:
    encoder, lengths = build("gru", 2), [6, 2]
    frames = frames_of(lengths).requires_grad_()
    encoder(frames, lengths)[:6].square().sum().backward()
    assert frames.grad is not None
    assert frames.grad[:6].abs().min() > 0
    assert frames.grad[6:].abs().max() == 0
    together = frames.grad[:6].clone()
    alone = frames.detach()[:6].requires_grad_()
    encoder(alone, [6]).square().sum().backward()
    torch.testing.assert_close(together, alone.grad)


def test_dropout_acts_between_layers_only() -> None:
    frames = frames_of([5])
    for depth, same in ((1, True), (2, False)):
        encoder = build("lstm", depth, dropout=0.5)
        assert torch.equal(encoder.train()(frames, [5]), encoder.eval()(frames, [5])) is same


def test_every_weight_learns() -> None:
    encoder = build("gru", 2, dropout=0.2)
    encoder(frames_of([4, 3]), [4, 3]).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
