"""Multi-head attention from the tokens of an utterance to its frames."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from emoscale.models.contract import PackedFrames


class AlignedAttention(nn.Module):
    """Multi-head attention [1]_ with packed tokens as queries and packed frames as keys and values.

    It is computed for one utterance at a time: on a CPU that takes a third of the time of one
    product padded to the longest utterance, and no padding has to be masked.

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
        self, tokens: PackedFrames, frames: PackedFrames, masks: Sequence[Tensor | None]
    ) -> Tensor:
        """Compute the attention output [total tokens, dim].

        The mask of an utterance [tokens, frames] is true where a frame is visible to a token; None:
        all frames are visible to all tokens.
        """
        values = self._split_heads(self.values(frames.frames), frames.lengths)
        outputs = []
        for (queries, keys), value, mask in zip(
            self._queries_and_keys(tokens, frames), values, masks, strict=True
        ):
            heads = scaled_dot_product_attention(queries, keys, value, attn_mask=mask)
            outputs.append(heads[0].transpose(0, 1).flatten(1))
        output: Tensor = self.output(torch.cat(outputs))
        return output

    def attention_weights(
        self, tokens: PackedFrames, frames: PackedFrames, masks: Sequence[Tensor | None]
    ) -> list[Tensor]:
        """Compute the attention weights.

        Parameters
        ----------
        tokens : PackedFrames
            Queries, ``[total tokens, dim]``.
        frames : PackedFrames
            Keys, ``[total frames, dim]``.
        masks : sequence of Tensor or None
            Per utterance ``[tokens, frames]``, true where a frame is visible; None: all frames.

        Returns
        -------
        list of Tensor
            Per utterance ``[heads, tokens, frames]``; the weights sum to 1 over frames.
        """
        weights = []
        for (queries, keys), mask in zip(
            self._queries_and_keys(tokens, frames), masks, strict=True
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


def within_word_mask(seconds: Tensor, frames: int, frame_rate: float) -> Tensor:
    """Return an attention mask that restricts each token to the frames of its word.

    A frame belongs to a word if its centre is within the word's start and end; a word without any
    centre has the nearest frame. All frames are visible to a token without known times.

    Parameters
    ----------
    seconds : Tensor
        Start and end of each token's word in seconds, ``[tokens, 2]``; NaN: unknown.
    frames : int
        Number of frames of the utterance.
    frame_rate : float
        Frames per second.

    Returns
    -------
    Tensor
        Boolean, ``[tokens, frames]``; true where a frame is visible to a token.

    Examples
    --------
    >>> times = torch.tensor([[0.0, 0.3], [0.26, 0.32], [torch.nan, torch.nan]])
    >>> within_word_mask(times, frames=4, frame_rate=10.0).int().tolist()
    [[1, 1, 1, 0], [0, 0, 1, 0], [1, 1, 1, 1]]
    """
    indices = torch.arange(frames, device=seconds.device)
    centres = (indices + 0.5) / frame_rate
    start, end = seconds[:, :1], seconds[:, 1:]
    within = (start <= centres) & (centres <= end)
    # If any frame is within the word, so is the frame nearest to the word's middle.
    nearest = ((start + end) / 2 * frame_rate).nan_to_num().long().clamp(0, frames - 1)
    return within | (indices == nearest) | (start + end).isnan()
