from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from emoscale.config.models import AlignedFusionSettings
from emoscale.models.aligned_attention import AlignedAttention, within_word_mask
from emoscale.models.aligned_fusion import AlignedFusion
from emoscale.models.contract import InputShape, PackedFrames
from emoscale.runtime.errors import ConfigurationError

DIMENSION, HEADS, FRAME_RATE = 12, 3, 10.0
UNKNOWN = [torch.nan, torch.nan]


def attention_and_reference() -> tuple[AlignedAttention, nn.MultiheadAttention]:
    """Return the attention, and torch's with the same weights."""
    torch.manual_seed(0)
    attention = AlignedAttention(DIMENSION, HEADS)
    projections = [attention.queries, attention.keys, attention.values]
    reference = nn.MultiheadAttention(DIMENSION, HEADS, batch_first=True)
    with torch.no_grad():
        for index, projection in enumerate(projections):
            rows = slice(index * DIMENSION, (index + 1) * DIMENSION)
            reference.in_proj_weight[rows] = projection.weight
            bias = projection.bias
            reference.in_proj_bias[rows] = 0.0 if bias is None else bias
    reference.out_proj.load_state_dict(attention.output.state_dict())
    return attention, reference


def random_packed(lengths: list[int], seconds: list[list[float]] | None = None) -> PackedFrames:
    frames = torch.randn(
        sum(lengths), DIMENSION, generator=torch.Generator().manual_seed(sum(lengths))
    )
    return PackedFrames.of(frames, lengths, None if seconds is None else torch.tensor(seconds))


@torch.no_grad()
def test_attention_equals_torch() -> None:
    attention, reference = attention_and_reference()
    tokens, frames = random_packed([4, 1, 3]), random_packed([9, 5, 1])
    attended = torch.split(attention(tokens, frames, None), tokens.lengths)
    weights = attention.attention_weights(tokens, frames, None)
    pairs = zip(
        torch.split(tokens.frames, tokens.lengths),
        torch.split(frames.frames, frames.lengths),
        strict=True,
    )
    for index, (query, key) in enumerate(pairs):
        output, expected = reference(query, key, key, average_attn_weights=False)
        torch.testing.assert_close(attended[index], output)
        torch.testing.assert_close(weights[index], expected)


@torch.no_grad()
def test_a_masked_token_attends_to_the_frames_of_its_word_only() -> None:
    attention, reference = attention_and_reference()
    seconds = [[0.2, 0.5], [0.62, 1.1], UNKNOWN]
    tokens, frames = random_packed([3], seconds), random_packed([12])
    words = [slice(2, 5), slice(6, 11), slice(0, 12)]  # frame 6 is from 0.6 to 0.7, centre 0.65
    attended = attention(tokens, frames, FRAME_RATE)
    (weights,) = attention.attention_weights(tokens, frames, FRAME_RATE)
    for token, word in enumerate(words):
        query, key = tokens.frames[token : token + 1], frames.frames[word]
        output, expected = reference(query, key, key, average_attn_weights=False)
        torch.testing.assert_close(attended[token : token + 1], output)
        torch.testing.assert_close(weights[:, token : token + 1, word], expected)
        assert weights[:, token].sum(dim=1) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("word", "visible"),
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
def test_frames_within_a_word(word: list[float], visible: list[int]) -> None:
    seconds = torch.tensor([[word]], dtype=torch.float64)
    mask = within_word_mask(seconds, torch.tensor([4]), 4, FRAME_RATE)
    assert mask[0, 0].nonzero().flatten().tolist() == visible


def build(within_word: bool) -> AlignedFusion:
    torch.manual_seed(0)
    settings = AlignedFusionSettings(
        kind="aligned_fusion", hidden_size=6, num_heads=3, within_word=within_word
    )
    return AlignedFusion(
        settings, [InputShape(DIMENSION, frame_rate=FRAME_RATE), InputShape(DIMENSION)], 4
    ).eval()


SPEECH = random_packed([12, 7])
TEXT = random_packed([3, 2], [[0.2, 0.5], [0.62, 1.1], UNKNOWN, UNKNOWN, [0.0, 0.1]])


def test_attention_weights_of_utterances() -> None:
    model = build(within_word=True)
    first, second = model.attention_weights(SPEECH, TEXT)
    assert (first.shape, second.shape) == ((3, 3, 12), (3, 2, 7))
    torch.testing.assert_close(first.sum(dim=2), torch.ones(3, 3))
    assert [(row > 0).nonzero().flatten().tolist() for row in first[0]] == [
        [2, 3, 4],
        [6, 7, 8, 9, 10],
        list(range(12)),
    ]
    single = model.attention_weights(
        PackedFrames.of(SPEECH.frames[:12], [12]),
        PackedFrames.of(TEXT.frames[:3], [3], _times(TEXT)[:3]),
    )
    torch.testing.assert_close(single[0], first)


@torch.no_grad()
def test_only_a_model_with_a_mask_depends_on_the_times() -> None:
    untimed = PackedFrames.of(TEXT.frames, TEXT.lengths)
    masked, unmasked = build(within_word=True), build(within_word=False)
    torch.testing.assert_close(unmasked(SPEECH, TEXT), unmasked(SPEECH, untimed))
    torch.testing.assert_close(masked(SPEECH, untimed), unmasked(SPEECH, untimed))
    assert (masked(SPEECH, TEXT) - unmasked(SPEECH, TEXT)).abs().amax(dim=1).min() > 1e-4


def test_a_mask_needs_a_frame_rate() -> None:
    settings = AlignedFusionSettings(kind="aligned_fusion", within_word=True)
    with pytest.raises(ConfigurationError, match="needs the frame rate of its first input"):
        AlignedFusion(settings, [InputShape(DIMENSION), InputShape(DIMENSION)], 4)


def _times(text: PackedFrames) -> Tensor:
    assert text.seconds is not None
    return text.seconds
