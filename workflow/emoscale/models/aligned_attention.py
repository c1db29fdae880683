"""Multi-head attention from the tokens of an utterance to its frames."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from emoscale.models.contract import PackedFrames
from emoscale.models.execution import prefers_few_operations
from emoscale.models.packed_layout import PackedLayout, send


class AlignedAttention(nn.Module):
    """Multi-head attention [1]_ with packed tokens as queries and packed frames as keys and values.

    On a CPU it is computed for one utterance at a time, which takes a third of the time of one
    product padded to the longest utterance; on a GPU it is one such product, with a mask.

    Parameters
    ----------
    dimension : int
        Dimension of tokens, frames and output.
    num_heads : int
        Number of heads; divides `dimension`.

    References
    ----------
    .. [1] A. Vaswani et al., "Attention is all you need", NeurIPS 2017.
    """

    def __init__(self, dimension: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.queries = nn.Linear(dimension, dimension)
        # A bias of the keys would not change the softmax.
        self.keys = nn.Linear(dimension, dimension, bias=False)
        self.values = nn.Linear(dimension, dimension)
        self.output = nn.Linear(dimension, dimension)

    def forward(
        self, tokens: PackedFrames, frames: PackedFrames, frame_rate: float | None
    ) -> Tensor:
        """Compute the attention output [total tokens, dim].

        With a frame rate, a token attends to the frames of its word only; None: to all frames of
        the utterance.
        """
        few = prefers_few_operations(frames.frames.device)
        attend = self._attend_padded if few else self._attend_each
        output: Tensor = self.output(attend(tokens, frames, frame_rate))
        return output

    def _attend_each(
        self, tokens: PackedFrames, frames: PackedFrames, frame_rate: float | None
    ) -> Tensor:
        """Attend in one utterance at a time."""
        values = self._split_heads(self.values(frames.frames), frames.lengths)
        outputs = []
        for (queries, keys), value, mask in zip(
            self._queries_and_keys(tokens, frames),
            values,
            _masks(tokens, frames, frame_rate),
            strict=True,
        ):
            heads = scaled_dot_product_attention(queries, keys, value, attn_mask=mask)
            outputs.append(heads[0].transpose(0, 1).flatten(1))
        return torch.cat(outputs)

    def _attend_padded(
        self, tokens: PackedFrames, frames: PackedFrames, frame_rate: float | None
    ) -> Tensor:
        """Attend in all utterances at once, padded to the longest."""
        heads = scaled_dot_product_attention(
            self._pad_heads(self.queries(tokens.frames), tokens.layout),
            self._pad_heads(self.keys(frames.frames), frames.layout),
            self._pad_heads(self.values(frames.frames), frames.layout),
            attn_mask=_padded_mask(tokens, frames, frame_rate)[:, None],
        )
        return tokens.layout.unpad(heads.transpose(1, 2).flatten(2))

    def _pad_heads(self, packed: Tensor, layout: PackedLayout) -> Tensor:
        """Return a padded batch [utterances, heads, longest, dim of a head]."""
        padded = layout.pad(packed)
        return padded.view(*padded.shape[:2], self.num_heads, -1).transpose(1, 2)

    def attention_weights(
        self, tokens: PackedFrames, frames: PackedFrames, frame_rate: float | None
    ) -> list[Tensor]:
        """Compute the attention weights.

        Parameters
        ----------
        tokens : PackedFrames
            Queries, ``[total tokens, dim]``.
        frames : PackedFrames
            Keys, ``[total frames, dim]``.
        frame_rate : float or None
            Frames per second, where a token attends to the frames of its word only; None: it
            attends to all frames of the utterance.

        Returns
        -------
        list of Tensor
            Per utterance ``[heads, tokens, frames]``; the weights sum to 1 over frames.
        """
        weights = []
        for (queries, keys), mask in zip(
            self._queries_and_keys(tokens, frames),
            _masks(tokens, frames, frame_rate),
            strict=True,
        ):
            logits = queries[0] @ keys[0].transpose(1, 2) / queries.shape[-1] ** 0.5
            if mask is not None:
                logits = logits.masked_fill(~mask, -torch.inf)
            weights.append(logits.softmax(dim=-1))
        return weights

    def _queries_and_keys(
        self, tokens: PackedFrames, frames: PackedFrames
    ) -> Iterator[tuple[Tensor, Tensor]]:
        queries = self._split_heads(self.queries(tokens.frames), tokens.lengths)
        keys = self._split_heads(self.keys(frames.frames), frames.lengths)
        return zip(queries, keys, strict=True)

    def _split_heads(self, packed: Tensor, lengths: list[int]) -> list[Tensor]:
        """Return one tensor [1, heads, length, dim of a head] per utterance."""
        heads = packed.view(len(packed), self.num_heads, -1).transpose(0, 1)[None]
        return list(torch.split(heads, lengths, dim=2))


def _masks(
    tokens: PackedFrames, frames: PackedFrames, frame_rate: float | None
) -> list[Tensor | None]:
    """Return a mask [tokens, frames] per utterance, true where a frame is visible; None: all."""
    if frame_rate is None or tokens.seconds is None:
        return [None] * len(tokens.lengths)
    return [
        within_word_mask(seconds[None], count[None], length, frame_rate)[0]
        for seconds, count, length in zip(
            torch.split(tokens.seconds, tokens.lengths),
            frames.layout.counts,
            frames.lengths,
            strict=True,
        )
    ]


def _padded_mask(tokens: PackedFrames, frames: PackedFrames, frame_rate: float | None) -> Tensor:
    """Return a mask [utterances, tokens or 1, frames] of a padded batch."""
    counts, longest = frames.layout.counts, max(frames.lengths)
    mask = (torch.arange(longest, device=counts.device) < counts[:, None])[:, None]
    if frame_rate is None or tokens.seconds is None:
        return mask
    seconds = tokens.layout.pad(tokens.seconds)
    return mask & within_word_mask(seconds, counts, longest, frame_rate)


def within_word_mask(seconds: Tensor, counts: Tensor, longest: int, frame_rate: float) -> Tensor:
    """Return an attention mask that restricts each token to the frames of its word.

    A frame belongs to a word if its centre is within the word's start and end; a word without any
    centre has the nearest frame. All frames are visible to a token without known times.

    Parameters
    ----------
    seconds : Tensor
        Start and end of each token's word in seconds, ``[utterances, tokens, 2]``; NaN: unknown.
    counts : Tensor
        ``[utterances]``, number of frames of each utterance.
    longest : int
        The largest of them.
    frame_rate : float
        Frames per second.

    Returns
    -------
    Tensor
        Boolean, ``[utterances, tokens, longest]``; true where a frame is visible to a token. Each
        token has a visible frame.

    Examples
    --------
    >>> times = torch.tensor([[[0.0, 0.3], [0.26, 0.32], [torch.nan, torch.nan]]])
    >>> mask = within_word_mask(times, torch.tensor([4]), longest=4, frame_rate=10.0)
    >>> mask.int().tolist()
    [[[1, 1, 1, 0], [0, 0, 1, 0], [1, 1, 1, 1]]]
    """
    indices = torch.arange(longest)
    # On the CPU: a GPU multiplies by the reciprocal, and centres at the edge of a word would move.
    (centres,) = send(seconds.device, (indices + 0.5) / frame_rate)
    (indices,) = send(seconds.device, indices)
    start, end = seconds[..., :1], seconds[..., 1:]
    within = (start <= centres) & (centres <= end)
    # If any frame is within the word, so is the frame nearest to the word's middle.
    nearest = ((start + end) / 2 * frame_rate).nan_to_num().long().clamp(min=0)
    nearest = nearest.minimum(counts[:, None, None] - 1)
    return within | (indices == nearest) | (start + end).isnan()
