"""Layers that the classifiers share, over packed frames, each utterance as if it were alone."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from emoscale.config import models as settings


class Segments:
    """Which utterance each packed frame belongs to.

    An utterance's sums do not depend on the others.

    >>> segments = Segments([2, 1], torch.device("cpu"))
    >>> segments.sum(torch.tensor([[1.0], [2.0], [3.0]])).tolist()
    [[3.0], [3.0]]
    >>> segments.softmax(torch.tensor([5.0, 5.0, -1.0])).tolist()
    [0.5, 0.5, 1.0]
    """

    def __init__(self, lengths: list[int], device: torch.device) -> None:
        self.counts = torch.tensor(lengths, device=device)
        """[utterances] frames of each."""
        self.utterance = torch.repeat_interleave(
            torch.arange(len(lengths), device=device), self.counts, output_size=sum(lengths)
        )
        """[total] place of each frame's utterance."""

    def sum(self, frames: Tensor) -> Tensor:
        """[total, dimension] to [utterances, dimension], in float32 or more exactly."""
        frames = frames if frames.dtype == torch.float64 else frames.float()
        zeros = frames.new_zeros(len(self.counts), frames.shape[1])
        return zeros.index_add(0, self.utterance, frames)

    def mean(self, frames: Tensor) -> Tensor:
        """[total, dimension] to [utterances, dimension]."""
        return self.sum(frames) / self.counts[:, None]

    def spread(self, values: Tensor) -> Tensor:
        """[utterances, dimension] to [total, dimension], each frame having its utterance's."""
        return values.index_select(0, self.utterance)

    def softmax(self, logits: Tensor) -> Tensor:
        """[total] to [total]; those of an utterance sum to 1."""
        logits = logits if logits.dtype == torch.float64 else logits.float()
        lowest = logits.new_full((len(self.counts),), -torch.inf)
        highest = lowest.scatter_reduce(0, self.utterance, logits.detach(), "amax")
        exponentials = torch.exp(logits - highest[self.utterance])
        sums = self.sum(exponentials[:, None])
        return exponentials / self.spread(sums)[:, 0]


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


class Standardise(nn.Module):
    """Subtract the mean and divide by the standard deviation of each dimension (of each layer).

    The statistics are buffers: they are saved with the model, which so knows its preprocessing.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, dimension: int, layers: int | None = None) -> None:
        super().__init__()
        shape = (dimension,) if layers is None else (layers, dimension)
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("scale", torch.ones(shape))

    def set_statistics(self, mean: Tensor, deviation: Tensor) -> None:
        """Take statistics [dimension] or [layers, dimension].

        A dimension that does not vary is only centred.
        """
        self.mean.copy_(mean)
        self.scale.copy_(torch.where(deviation > 1e-6, 1.0 / deviation.clamp(min=1e-6), 1.0))

    def forward(self, frames: Tensor) -> Tensor:
        """[frames, dimension], or [frames, layers, dimension], to the same shape, in float32."""
        return (frames - self.mean).mul_(self.scale)


_SCORES = re.compile(r"^(?:parts\.(?P<part>\d+)\.)?layers\.(?P<input>\d+)\.scores$")


class LayerWeights(nn.Module):
    """The weighted mean of a frame's layers; equal weights at first.

    As in SUPERB (Yang et al. 2021) and Pepino et al. (2021); the weights are a softmax, so that
    they can be read as shares.
    """

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.scores = nn.Parameter(torch.zeros(layers))

    def forward(self, frames: Tensor) -> Tensor:
        """[total, layers, dimension] to [total, dimension]."""
        return torch.softmax(self.scores, dim=0) @ frames


def layer_shares(weights: Mapping[str, Tensor]) -> dict[int, list[float]]:
    """The share of each layer in a trained model, by the number of the input; they sum to 1.

    Inputs without layers have none; `weights` are the model's state.

    >>> layer_shares({"layers.0.scores": torch.zeros(4)})
    {0: [0.25, 0.25, 0.25, 0.25]}
    """
    shares = {}
    for name, scores in sorted(weights.items()):
        match = _SCORES.match(name)
        if match is not None:
            own = torch.softmax(scores.detach().double(), dim=0)
            shares[int(match["part"] or match["input"])] = own.tolist()
    return shares


class Dropout(nn.Module):
    """`nn.Dropout`, drawing from `generator`, which a training sets to its own.

    So what is dropped does not depend on what else is trained in the process.
    """

    generator: torch.Generator | None = None
    """None: torch's default one."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, values: Tensor) -> Tensor:
        """Any shape to the same; what is kept is scaled so that the expectation stays."""
        if not self.training or self.share == 0.0:
            return values
        # Faster on a CPU than Bernoulli draws, of which torch makes one a value.
        drawn = torch.rand(values.shape, generator=self.generator, device=values.device)
        return values * (drawn >= self.share).to(values.dtype).div_(1.0 - self.share)


def draw_dropout_from(model: nn.Module, generator: torch.Generator) -> None:
    """Let every dropout of a model draw from `generator`."""
    for module in model.modules():
        if isinstance(module, Dropout):
            module.generator = generator


class UtteranceLinear(nn.Linear):
    """In float32 whatever the precision of the products over frames: it costs next to nothing."""

    def forward(self, vectors: Tensor) -> Tensor:
        """[utterances, entering] to [utterances, leaving]."""
        with torch.autocast(vectors.device.type, enabled=False):
            return super().forward(vectors.to(self.weight.dtype))


class PackedConvolution(nn.Module):
    """Of an odd kernel and stride 1: as many frames come out as went in.

    The utterances stand in one long signal with half a kernel of zeros between them, and each tap
    of the kernel is one product with all of it: torch's convolution is prepared anew on a CPU for
    each number of frames, and no two batches have the same.
    """

    def __init__(self, dimension: int, channels: int, kernel: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(dimension, channels, kernel)

    def forward(self, frames: Tensor, lengths: list[int]) -> Tensor:
        """[total, dimension] to [total, channels]."""
        taps = self.convolution.weight.permute(2, 1, 0)
        bias = self.convolution.bias
        assert bias is not None
        half = len(taps) // 2
        if not half:
            return torch.addmm(bias, frames, taps[0])
        utterance = Segments(lengths, frames.device).utterance
        rows = torch.arange(len(frames), device=frames.device) + half * utterance
        signal = frames.new_zeros(len(frames) + half * (len(lengths) + 1), frames.shape[1])
        signal = signal.index_copy(0, rows + half, frames)
        count = len(signal) - 2 * half
        summed = torch.addmm(bias, signal[:count], taps[0])
        for offset, tap in enumerate(taps[1:], start=1):
            summed = torch.addmm(summed, signal[offset : offset + count], tap)
        return summed.index_select(0, rows)
