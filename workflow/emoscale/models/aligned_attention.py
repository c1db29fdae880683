"""Attention by which the tokens of an utterance look for its frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from emoscale.models.contract import PackedFrames


class AlignedAttention(nn.Module):
    """Multi-head attention (Vaswani et al. 2017) from packed tokens to packed frames.

    Each utterance is attended by itself: on a CPU that takes a third of the time of one product
    padded to the longest utterance, and there is no padding that could be seen.
    """

    def __init__(self, dimension: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.queries = nn.Linear(dimension, dimension)
        self.keys = nn.Linear(dimension, dimension, bias=False)  # a softmax would not notice one
        self.values = nn.Linear(dimension, dimension)
        self.output = nn.Linear(dimension, dimension)

    def forward(
        self, tokens: PackedFrames, frames: PackedFrames, seen: Sequence[Tensor | None]
    ) -> Tensor:
        """What each token gathers [total tokens, dimension] of its utterance's frames.

        `seen` is of each utterance [tokens, frames], true where a token sees a frame; None: all.
        """
        values = self._by_heads(self.values(frames.frames), frames.lengths)
        gathered = []
        for (queries, keys), value, mask in zip(
            self._queries_and_keys(tokens, frames), values, seen, strict=True
        ):
            heads = scaled_dot_product_attention(queries, keys, value, attn_mask=mask)
            gathered.append(heads[0].transpose(0, 1).flatten(1))
        output: Tensor = self.output(torch.cat(gathered))
        return output

    def weights(
        self, tokens: PackedFrames, frames: PackedFrames, seen: Sequence[Tensor | None]
    ) -> list[Tensor]:
        """The attention of each utterance, [heads, tokens, frames]; the frames' sum is 1."""
        weights = []
        for (queries, keys), mask in zip(self._queries_and_keys(tokens, frames), seen, strict=True):
            scores = queries[0] @ keys[0].transpose(1, 2) / queries.shape[-1] ** 0.5
            if mask is not None:
                scores = scores.masked_fill(~mask, -torch.inf)
            weights.append(scores.softmax(dim=-1))
        return weights

    def _queries_and_keys(
        self, tokens: PackedFrames, frames: PackedFrames
    ) -> Iterator[tuple[Tensor, Tensor]]:
        queries = self._by_heads(self.queries(tokens.frames), tokens.lengths)
        keys = self._by_heads(self.keys(frames.frames), frames.lengths)
        return zip(queries, keys, strict=True)

    def _by_heads(self, packed: Tensor, lengths: list[int]) -> list[Tensor]:
        """Of each utterance [1, heads, length, dimension of a head]."""
        heads = packed.view(len(packed), self.heads, -1).transpose(0, 1)[None]
        return list(torch.split(heads, lengths, dim=2))


def frames_of_words(seconds: Tensor, frames: int, frame_rate: float) -> Tensor:
    """Which frames each token sees [tokens, frames] when it sees only those of its word.

    `seconds` [tokens, 2] is the start and end of each token's word. A frame is of a word where its
    centre lies in it; a word between two centres has the nearest. Of a token without a time every
    frame is seen.

    >>> times = torch.tensor([[0.0, 0.3], [0.26, 0.32], [torch.nan, torch.nan]])
    >>> frames_of_words(times, frames=4, frame_rate=10.0).int().tolist()
    [[1, 1, 1, 0], [0, 0, 1, 0], [1, 1, 1, 1]]
    """
    places = torch.arange(frames, device=seconds.device)
    centres = (places + 0.5) / frame_rate
    start, end = seconds[:, :1], seconds[:, 1:]
    within = (start <= centres) & (centres <= end)
    # The frame nearest to the middle is within wherever any is.
    nearest = ((start + end) / 2 * frame_rate).nan_to_num().long().clamp(0, frames - 1)
    return within | (places == nearest) | (start + end).isnan()
