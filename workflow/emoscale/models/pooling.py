"""One vector of an utterance's frames."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emoscale.config import models as settings
from emoscale.models.segments import Segments

ATTENTION_WIDTH = 128
"""Units of the layer that scores frames."""

_SMALLEST_VARIANCE = 1e-6  # keeps the gradient of a standard deviation of 0, of one frame, finite


class Pooling(nn.Module):
    """Mean, or mean and standard deviation, over frames; weighted equally or by attention.

    Attention is that of Okabe et al. (2018), "Attentive statistics pooling for deep speaker
    embedding": a layer with tanh and a vector score each frame, and a softmax over the utterance
    makes weights of the scores. The width of that layer is ours.
    """

    def __init__(self, pooling: settings.Pooling, dimension: int) -> None:
        super().__init__()
        self._deviation = pooling in ("mean_std", "attentive_statistics")
        self.dimension = dimension * (2 if self._deviation else 1)
        """Values an utterance."""
        self.score: nn.Module | None = None
        if pooling in ("attention", "attentive_statistics"):
            self.score = nn.Sequential(
                nn.Linear(dimension, ATTENTION_WIDTH),
                nn.Tanh(),
                nn.Linear(ATTENTION_WIDTH, 1, bias=False),  # the softmax would not notice one
            )

    def forward(self, frames: Tensor, lengths: list[int]) -> Tensor:
        """[total, dimension] to [utterances, self.dimension]."""
        segments = Segments(lengths, frames.device)
        if self.score is None:
            return self._statistics(frames, segments, None)
        weights = segments.softmax(self.score(frames)[:, 0])
        return self._statistics(frames, segments, weights[:, None])

    def _statistics(self, frames: Tensor, segments: Segments, weights: Tensor | None) -> Tensor:
        def mean_of(values: Tensor) -> Tensor:
            return segments.mean(values) if weights is None else segments.sum(values * weights)

        mean = mean_of(frames)
        if not self._deviation:
            return mean
        # The derivative of a variance by its mean is 0, so none is computed.
        variance = mean_of((frames - segments.spread(mean.detach())).square())
        return torch.cat([mean, (variance + _SMALLEST_VARIANCE).sqrt()], dim=1)
