from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from emoscale.config.models import AlignedFusionSettings
from emoscale.models.aligned_attention import AlignedAttention, frames_of_words
from emoscale.models.aligned_fusion import AlignedFusion
from emoscale.models.contract import InputShape, PackedFrames
from emoscale.runtime.errors import ConfigurationError

WIDTH, HEADS, RATE = 12, 3, 10.0
UNKNOWN = [torch.nan, torch.nan]


def attention_and_reference() -> tuple[AlignedAttention, nn.MultiheadAttention]:
    """The attention, and torch's with the same weights."""
    torch.manual_seed(0)
    attention = AlignedAttention(WIDTH, HEADS)
    projections = [attention.queries, attention.keys, attention.values]
    reference = nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    with torch.no_grad():
        for place, part in enumerate(projections):
            own = slice(place * WIDTH, (place + 1) * WIDTH)
            reference.in_proj_weight[own] = part.weight
            reference.in_proj_bias[own] = 0.0 if part.bias is None else part.bias
    reference.out_proj.load_state_dict(attention.output.state_dict())
    return attention, reference


def random_packed(lengths: list[int], seconds: list[list[float]] | None = None) -> PackedFrames:
    frames = torch.randn(sum(lengths), WIDTH, generator=torch.Generator().manual_seed(sum(lengths)))
    return PackedFrames(frames, lengths, None if seconds is None else torch.tensor(seconds))


@torch.no_grad()
def test_the_attention_is_torchs() -> None:
    attention, reference = attention_and_reference()
    tokens, frames = random_packed([4, 1, 3]), random_packed([9, 5, 1])
    seen = [None, None, None]
    attended = torch.split(attention(tokens, frames, seen), tokens.lengths)
    weights = attention.weights(tokens, frames, seen)
    pairs = zip(
        torch.split(tokens.frames, tokens.lengths),
        torch.split(frames.frames, frames.lengths),
        strict=True,
    )
    for place, (query, key) in enumerate(pairs):
        output, shares = reference(query, key, key, average_attn_weights=False)
        torch.testing.assert_close(attended[place], output)
        torch.testing.assert_close(weights[place], shares)


@torch.no_grad()
def test_a_confined_token_attends_as_if_its_word_were_all_there_is() -> None:
    attention, reference = attention_and_reference()
    tokens, frames = random_packed([3]), random_packed([12])
    seconds = torch.tensor([[0.2, 0.5], [0.62, 1.1], UNKNOWN])
    words = [slice(2, 5), slice(6, 11), slice(0, 12)]  # frame 6 is from 0.6 to 0.7, centre 0.65
    seen = [frames_of_words(seconds, 12, RATE)]
    attended = attention(tokens, frames, seen)
    (weights,) = attention.weights(tokens, frames, seen)
    for token, word in enumerate(words):
        query, key = tokens.frames[token : token + 1], frames.frames[word]
        output, shares = reference(query, key, key, average_attn_weights=False)
        torch.testing.assert_close(attended[token : token + 1], output)
        torch.testing.assert_close(weights[:, token : token + 1, word], shares)
        assert weights[:, token].sum(dim=1) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("word", "seen"),
    [
        ([0.05, 0.25], [0, 1, 2]),  # centres at its edges count
        ([0.06, 0.24], [1]),
        ([0.16, 0.24], [2]),  # between the centres 0.15 and 0.25, its middle nearer to the second
        ([0.16, 0.22], [1]),
        ([0.9, 1.4], [3]),  # after the last frame
        ([-0.3, -0.1], [0]),
        ([0.1, torch.nan], [0, 1, 2, 3]),
    ],
)
def test_which_frames_are_of_a_word(word: list[float], seen: list[int]) -> None:
    (mask,) = frames_of_words(torch.tensor([word], dtype=torch.float64), 4, RATE)
    assert mask.nonzero().flatten().tolist() == seen


def build(confined: bool) -> AlignedFusion:
    torch.manual_seed(0)
    settings = AlignedFusionSettings(
        kind="aligned_fusion", hidden_size=6, num_heads=3, within_word=confined
    )
    return AlignedFusion(
        settings, [InputShape(WIDTH, frame_rate=RATE), InputShape(WIDTH)], 4
    ).eval()


SPEECH = random_packed([12, 7])
TEXT = random_packed([3, 2], [[0.2, 0.5], [0.62, 1.1], UNKNOWN, UNKNOWN, [0.0, 0.1]])


def test_the_map_of_an_utterance() -> None:
    model = build(confined=True)
    first, second = model.attention_of(SPEECH, TEXT)
    assert (first.shape, second.shape) == ((3, 3, 12), (3, 2, 7))
    torch.testing.assert_close(first.sum(dim=2), torch.ones(3, 3))
    assert [(row > 0).nonzero().flatten().tolist() for row in first[0]] == [
        [2, 3, 4],
        [6, 7, 8, 9, 10],
        list(range(12)),
    ]
    alone = model.attention_of(
        PackedFrames(SPEECH.frames[:12], [12]), PackedFrames(TEXT.frames[:3], [3], _times(TEXT)[:3])
    )
    torch.testing.assert_close(alone[0], first)


@torch.no_grad()
def test_only_a_confined_model_minds_the_times() -> None:
    untimed = PackedFrames(TEXT.frames, TEXT.lengths)
    confined, free = build(confined=True), build(confined=False)
    torch.testing.assert_close(free(SPEECH, TEXT), free(SPEECH, untimed))
    torch.testing.assert_close(confined(SPEECH, untimed), free(SPEECH, untimed))
    assert (confined(SPEECH, TEXT) - free(SPEECH, TEXT)).abs().amax(dim=1).min() > 1e-4


def test_confining_needs_to_know_when_a_frame_is() -> None:
    settings = AlignedFusionSettings(kind="aligned_fusion", within_word=True)
    with pytest.raises(ConfigurationError, match="no frame rate"):
        AlignedFusion(settings, [InputShape(WIDTH), InputShape(WIDTH)], 4)


def _times(text: PackedFrames) -> Tensor:
    assert text.seconds is not None
    return text.seconds
