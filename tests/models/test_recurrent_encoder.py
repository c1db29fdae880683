from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from emoscale.models.recurrent_encoder import RecurrentEncoder, _packed, _TimeFirst

DIMENSION, WIDTH = 5, 3
CELLS: tuple[Literal["gru", "lstm"], ...] = ("gru", "lstm")


def frames_of(lengths: list[int]) -> torch.Tensor:
    return torch.randn(sum(lengths), DIMENSION, generator=torch.Generator().manual_seed(0))


def build(cell: Literal["gru", "lstm"], depth: int, dropout: float = 0.0) -> RecurrentEncoder:
    torch.manual_seed(0)
    return RecurrentEncoder(DIMENSION, cell, WIDTH, depth, dropout)


def torch_network_names(
    encoder: RecurrentEncoder, depth: int, of: Callable[[nn.Parameter], Any]
) -> dict[str, Any]:
    """Something of each of the encoder's weights, by its name in torch's network."""
    return {
        name.replace("l0", f"l{layer}") + suffix: of(weight)
        for layer in range(depth)
        for direction, suffix in ((encoder.forwards, ""), (encoder.backwards, "_reverse"))
        for name, weight in direction[layer].named_parameters()
    }


def torch_network(
    encoder: RecurrentEncoder, cell: Literal["gru", "lstm"], depth: int
) -> nn.RNNBase:
    """torch's own bidirectional network with the encoder's weights."""
    kind = nn.GRU if cell == "gru" else nn.LSTM
    network = kind(DIMENSION, WIDTH, depth, bidirectional=True)
    network.load_state_dict(torch_network_names(encoder, depth, lambda weight: weight.detach()))
    return network


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("depth", [1, 3])
@pytest.mark.parametrize("lengths", [[4, 1, 7, 4], [1], [1, 1], [2, 9]])
def test_it_is_torchs_bidirectional_network(
    cell: Literal["gru", "lstm"], depth: int, lengths: list[int]
) -> None:
    encoder = build(cell, depth)
    network = torch_network(encoder, cell, depth)
    ours, theirs = frames_of(lengths).requires_grad_(), frames_of(lengths).requires_grad_()
    encoded = encoder(ours, lengths)
    expected = torch.cat([network(part)[0] for part in torch.split(theirs, lengths)])
    torch.testing.assert_close(encoded, expected)
    factors = torch.randn(encoded.shape, generator=torch.Generator().manual_seed(1))
    (encoded * factors).sum().backward()
    (expected * factors).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
    gradients = torch_network_names(encoder, depth, lambda weight: weight.grad)
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, msg=name)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("lengths", [[4, 1, 7, 4], [1], [2, 9]])
def test_packed_as_on_a_gpu_it_is_the_same(
    cell: Literal["gru", "lstm"], lengths: list[int]
) -> None:
    encoder, other = build(cell, 1), build(cell, 1)
    ours, theirs = frames_of(lengths).requires_grad_(), frames_of(lengths).requires_grad_()
    expected = encoder(ours, lengths)
    networks = (other.forwards[0], other.backwards[0])
    packed = _packed(networks, theirs, _TimeFirst(lengths, torch.device("cpu")))
    torch.testing.assert_close(packed, expected)
    factors = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    (expected * factors).sum().backward()
    (packed * factors).sum().backward()
    torch.testing.assert_close(theirs.grad, ours.grad)
    for mine, twin in zip(other.parameters(), encoder.parameters(), strict=True):
        torch.testing.assert_close(mine.grad, twin.grad)


@pytest.mark.parametrize(("cell", "largest"), [("gru", 0.05), ("lstm", 0.0)])
def test_states_are_in_float32_under_autocast(cell: Literal["gru", "lstm"], largest: float) -> None:
    """Of a GRU the products with frames are not."""
    encoder, frames = build(cell, 2), frames_of([30, 12])
    expected = encoder(frames, [30, 12])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        encoded = encoder(frames, [30, 12])
    encoded.square().sum().backward()
    assert encoded.dtype == torch.float32
    assert largest * 1e-5 <= (encoded - expected).abs().max() <= largest


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
