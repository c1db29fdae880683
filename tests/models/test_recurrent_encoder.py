from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from emoscale.models.execution import force_few_operations
from emoscale.models.packed_layout import PackedLayout
from emoscale.models.recurrent_encoder import RecurrentEncoder

INPUT_SIZE, HIDDEN_SIZE = 5, 3
RNN_TYPES: tuple[Literal["gru", "lstm"], ...] = ("gru", "lstm")


def layout_of(lengths: list[int]) -> PackedLayout:
    return PackedLayout(lengths, torch.device("cpu"))


def frames_of(lengths: list[int]) -> torch.Tensor:
    return torch.randn(sum(lengths), INPUT_SIZE, generator=torch.Generator().manual_seed(0))


def build(
    rnn_type: Literal["gru", "lstm"], num_layers: int, dropout: float = 0.0
) -> RecurrentEncoder:
    torch.manual_seed(0)
    return RecurrentEncoder(INPUT_SIZE, rnn_type, HIDDEN_SIZE, num_layers, dropout)


def torch_parameters(
    encoder: RecurrentEncoder, num_layers: int, value: Callable[[nn.Parameter], Any]
) -> dict[str, Any]:
    """Return a value of each of the encoder's weights, by its name in torch's network."""
    return {
        name.replace("l0", f"l{layer}"): value(weight)
        for layer in range(num_layers)
        for name, weight in encoder.networks[layer].named_parameters()
    }


def torch_network(
    encoder: RecurrentEncoder, rnn_type: Literal["gru", "lstm"], num_layers: int
) -> nn.RNNBase:
    """Return torch's bidirectional network with the encoder's weights."""
    network_class = nn.GRU if rnn_type == "gru" else nn.LSTM
    network = network_class(INPUT_SIZE, HIDDEN_SIZE, num_layers, bidirectional=True)
    network.load_state_dict(torch_parameters(encoder, num_layers, lambda weight: weight.detach()))
    return network


@pytest.mark.parametrize("rnn_type", RNN_TYPES)
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("lengths", [[4, 1, 7, 4], [1], [1, 1], [2, 9]])
def test_it_equals_torchs_bidirectional_network(
    rnn_type: Literal["gru", "lstm"], num_layers: int, lengths: list[int]
) -> None:
    encoder = build(rnn_type, num_layers)
    network = torch_network(encoder, rnn_type, num_layers)
    ours, theirs = frames_of(lengths).requires_grad_(), frames_of(lengths).requires_grad_()
    encoded = encoder(ours, layout_of(lengths))
    expected = torch.cat([network(utterance)[0] for utterance in torch.split(theirs, lengths)])
    torch.testing.assert_close(encoded, expected)
    factors = torch.randn(encoded.shape, generator=torch.Generator().manual_seed(1))
    (encoded * factors).sum().backward()
    (expected * factors).sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad)
    gradients = torch_parameters(encoder, num_layers, lambda weight: weight.grad)
    for name, parameter in network.named_parameters():
        torch.testing.assert_close(gradients[name], parameter.grad, msg=name)


@pytest.mark.parametrize("rnn_type", RNN_TYPES)
@pytest.mark.parametrize("lengths", [[4, 1, 7, 4], [1], [2, 9]])
def test_packed_sequences_as_on_a_gpu_give_the_same(
    rnn_type: Literal["gru", "lstm"], lengths: list[int]
) -> None:
    encoder, other = build(rnn_type, 1), build(rnn_type, 1)
    ours, theirs = frames_of(lengths).requires_grad_(), frames_of(lengths).requires_grad_()
    expected = encoder(ours, layout_of(lengths))
    with force_few_operations(True):
        packed = other(theirs, layout_of(lengths))
    torch.testing.assert_close(packed, expected)
    factors = torch.randn(expected.shape, generator=torch.Generator().manual_seed(1))
    (expected * factors).sum().backward()
    (packed * factors).sum().backward()
    torch.testing.assert_close(theirs.grad, ours.grad)
    for actual, reference in zip(other.parameters(), encoder.parameters(), strict=True):
        torch.testing.assert_close(actual.grad, reference.grad)


@pytest.mark.parametrize(("rnn_type", "tolerance"), [("gru", 0.05), ("lstm", 0.0)])
def test_states_are_in_float32_under_autocast(
    rnn_type: Literal["gru", "lstm"], tolerance: float
) -> None:
    """A GRU's products with frames are in bfloat16."""
    encoder, frames = build(rnn_type, 2), frames_of([30, 12])
    expected = encoder(frames, layout_of([30, 12]))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        encoded = encoder(frames, layout_of([30, 12]))
    encoded.square().sum().backward()
    assert encoded.dtype == torch.float32
    assert tolerance * 1e-5 <= (encoded - expected).abs().max() <= tolerance


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.sampled_from(RNN_TYPES))
def test_an_utterance_does_not_depend_on_its_batch(
    lengths: list[int], rnn_type: Literal["gru", "lstm"]
) -> None:
    encoder, frames = build(rnn_type, 2, dropout=0.5).eval(), frames_of(lengths)
    with torch.inference_mode():
        batched = encoder(frames, layout_of(lengths))
        single = [encoder(each, layout_of([len(each)])) for each in torch.split(frames, lengths)]
    assert batched.shape == (sum(lengths), 2 * HIDDEN_SIZE)
    torch.testing.assert_close(batched, torch.cat(single), rtol=1e-5, atol=1e-6)


def test_gradients_of_an_utterance_do_not_depend_on_its_batch() -> None:
    encoder, lengths = build("gru", 2), [6, 2]
    frames = frames_of(lengths).requires_grad_()
    encoder(frames, layout_of(lengths))[:6].square().sum().backward()
    assert frames.grad is not None
    assert frames.grad[:6].abs().min() > 0
    assert frames.grad[6:].abs().max() == 0
    batched = frames.grad[:6].clone()
    single = frames.detach()[:6].requires_grad_()
    encoder(single, layout_of([6])).square().sum().backward()
    torch.testing.assert_close(batched, single.grad)


def test_dropout_acts_between_layers_only() -> None:
    frames = frames_of([5])
    for num_layers, equal in ((1, True), (2, False)):
        encoder = build("lstm", num_layers, dropout=0.5)
        assert (
            torch.equal(
                encoder.train()(frames, layout_of([5])), encoder.eval()(frames, layout_of([5]))
            )
            is equal
        )


def test_every_weight_learns() -> None:
    encoder = build("gru", 2, dropout=0.2)
    encoder(frames_of([4, 3]), layout_of([4, 3])).square().sum().backward()
    for name, parameter in encoder.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
