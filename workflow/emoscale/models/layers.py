"""Layers that the classifiers share, on packed frames.

Every layer treats each utterance independently of the others in its batch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from emoscale.models.execution import prefers_few_operations
from emoscale.models.packed_layout import PackedLayout

if TYPE_CHECKING:
    from emoscale.config import models as settings


_SMALLEST_DEVIATION = 1e-12, 1e-6  # absolute, and relative to the mean: rounding errors in float32


def inverse_deviation(mean: Tensor, std: Tensor) -> Tensor:
    """Return the factor that divides centred values by their standard deviation.

    Parameters
    ----------
    mean : Tensor
        Means, of any shape.
    std : Tensor
        Standard deviations, of the same shape.

    Returns
    -------
    Tensor
        1 / std; 0 where the values do not vary, except by rounding errors.
    """
    absolute, relative = _SMALLEST_DEVIATION
    varies = std > absolute + relative * mean.abs()
    return torch.where(varies, 1.0 / std.clamp(min=absolute), 0.0)


ATTENTION_HIDDEN_SIZE = 128
"""Hidden size of the layer that computes the attention logit of a frame."""

_MINIMUM_VARIANCE = 1e-6  # keeps the gradient of a standard deviation of 0 (one frame) finite


class Pooling(nn.Module):
    """Mean, or mean and standard deviation, over the frames of each utterance.

    Frames have equal weights or attention weights: a linear layer with tanh and a vector compute
    one logit per frame, and a softmax over the utterance's frames gives the weights [1]_. The
    hidden size of that layer is not the paper's.

    Parameters
    ----------
    pooling : {"mean", "mean_std", "attention", "attentive_statistics"}
        Which statistics are computed, and with which weights.
    input_size : int
        Dimension of the frames.

    References
    ----------
    .. [1] K. Okabe, T. Koshinaka and K. Shinoda, "Attentive statistics pooling for deep speaker
       embedding", Interspeech 2018.
    """

    def __init__(self, pooling: settings.Pooling, input_size: int) -> None:
        super().__init__()
        self._with_std = pooling in ("mean_std", "attentive_statistics")
        self.output_size = input_size * (2 if self._with_std else 1)
        """Dimension of the pooled vectors."""
        self.score: nn.Module | None = None
        if pooling in ("attention", "attentive_statistics"):
            self.score = nn.Sequential(
                nn.Linear(input_size, ATTENTION_HIDDEN_SIZE),
                nn.Tanh(),
                # A bias would not change the softmax.
                nn.Linear(ATTENTION_HIDDEN_SIZE, 1, bias=False),
            )

    def forward(self, frames: Tensor, layout: PackedLayout) -> Tensor:
        """Pool frames [total frames, input size] to vectors [utterances, output size]."""
        if self.score is None:
            return self._statistics(frames, layout, None)
        attention_weights = layout.softmax(self.score(frames)[:, 0])
        return self._statistics(frames, layout, attention_weights[:, None])

    def _statistics(
        self, frames: Tensor, layout: PackedLayout, attention_weights: Tensor | None
    ) -> Tensor:
        def weighted_mean(values: Tensor) -> Tensor:
            if attention_weights is None:
                return layout.mean(values)
            return layout.sum(values * attention_weights)

        mean = weighted_mean(frames)
        if not self._with_std:
            return mean
        # The derivative of the variance with respect to the mean is 0, so it is not computed.
        variance = weighted_mean((frames - layout.broadcast(mean.detach())).square())
        return torch.cat([mean, (variance + _MINIMUM_VARIANCE).sqrt()], dim=1)


class Standardise(nn.Module):
    """Subtract the mean and divide by the standard deviation, per dimension (and layer).

    The statistics and the bound are buffers, so they are saved with the model's weights.

    Parameters
    ----------
    dimension : int
        Dimension of the frames.
    layers : int or None
        Number of hidden states (layers) per frame; None: frames without layers.
    """

    mean: Tensor
    scale: Tensor
    bound: Tensor

    def __init__(self, dimension: int, layers: int | None = None) -> None:
        super().__init__()
        shape = (dimension,) if layers is None else (layers, dimension)
        self.register_buffer("mean", torch.zeros(shape))
        self.register_buffer("scale", torch.ones(shape))
        self.register_buffer("bound", torch.tensor(torch.inf))

    def set_statistics(self, mean: Tensor, std: Tensor, bound: float | None = None) -> None:
        """Set the statistics; a dimension that does not vary becomes 0.

        Parameters
        ----------
        mean : Tensor
            Mean, ``[dim]`` or ``[layers, dim]``.
        std : Tensor
            Standard deviation, of the same shape.
        bound : float or None
            Largest absolute value of the result, in standard deviations; None: no limit.
        """
        self.mean.copy_(mean)
        self.scale.copy_(inverse_deviation(mean, std))
        self.bound.fill_(torch.inf if bound is None else bound)

    def forward(self, frames: Tensor) -> Tensor:
        """Standardise frames [total frames, (layers,) dim]; the result is in float32."""
        return (frames - self.mean).mul_(self.scale).clamp_(-self.bound, self.bound)


_LAYER_SCORES = re.compile(r"^(?:parts\.(?P<branch>\d+)\.)?layers\.(?P<input>\d+)\.scores$")


# Frames per block; with 13 layers of 768 values in float32 they take 2.6 MB, and 327 MB on a GPU.
_CPU_BLOCK, _GPU_BLOCK = 64, 8192


class LayerWeights(nn.Module):
    """Weighted mean of the standardised layers of each frame.

    The weights are learned and equal at first. They are a softmax of free parameters, so they are
    positive and sum to 1 [1]_ [2]_.

    Parameters
    ----------
    layers : int or None
        Number of layers; None: frames without layers, which are only standardised.

    References
    ----------
    .. [1] S. Yang et al., "SUPERB: Speech processing universal performance benchmark",
       Interspeech 2021.
    .. [2] L. Pepino, P. Riera and L. Ferrer, "Emotion recognition from speech using wav2vec 2.0
       embeddings", Interspeech 2021.
    """

    def __init__(self, layers: int | None) -> None:
        super().__init__()
        self.scores = None if layers is None else nn.Parameter(torch.zeros(layers))

    def forward(self, frames: Tensor, standardise: nn.Module) -> Tensor:
        """Standardise frames [total frames, (layers,) dim]; the result is [total frames, dim]."""
        if self.scores is None:
            standardised: Tensor = standardise(frames)
            return standardised
        with torch.autocast(frames.device.type, enabled=False):
            weights = torch.softmax(self.scores, dim=0)
            mean: Tensor = _MeanOfLayers.apply(  # type: ignore[no-untyped-call]
                weights, frames, standardise
            )
        return mean


class _MeanOfLayers(Function):
    """Weighted mean of standardised layers; only the weights have a gradient.

    Frames are standardised in blocks, and again for the gradient, so that no float32 copy of all
    layers is made or kept.
    """

    @staticmethod
    def forward(ctx: Any, weights: Tensor, frames: Tensor, standardise: nn.Module) -> Tensor:
        ctx.save_for_backward(frames)
        ctx.standardise = standardise
        means = [
            torch.einsum("l,tld->td", weights, standardise(block)) for block in _blocks(frames)
        ]
        return torch.cat(means)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (frames,) = ctx.saved_tensors
        products = [
            torch.einsum("td,tld->l", block_gradient, ctx.standardise(block))
            for block_gradient, block in zip(_blocks(gradient), _blocks(frames), strict=True)
        ]
        return torch.stack(products).sum(dim=0), None, None


def _blocks(frames: Tensor) -> Sequence[Tensor]:
    few = prefers_few_operations(frames.device)
    return torch.split(frames, _GPU_BLOCK if few else _CPU_BLOCK)


def normalised_layer_weights(state: Mapping[str, Tensor]) -> dict[int, list[float]]:
    """Return the layer weights of a trained model, which sum to 1 for each input.

    Parameters
    ----------
    state : mapping of str to Tensor
        The model's ``state_dict``.

    Returns
    -------
    dict of int to list of float
        The weight of each layer, by the index of the input; inputs without layers are omitted.

    Examples
    --------
    >>> normalised_layer_weights({"layers.0.scores": torch.zeros(4)})
    {0: [0.25, 0.25, 0.25, 0.25]}
    """
    weights_of_input = {}
    for name, scores in sorted(state.items()):
        match = _LAYER_SCORES.match(name)
        if match is not None:
            layer_weights = torch.softmax(scores.detach().double(), dim=0)
            weights_of_input[int(match["branch"] or match["input"])] = layer_weights.tolist()
    return weights_of_input


class Dropout(nn.Module):
    """`nn.Dropout` with a random generator of its own, see `set_dropout_generator`.

    The dropped values then do not depend on what else is trained in the process.

    Parameters
    ----------
    p : float
        Probability that a value is dropped.
    """

    generator: torch.Generator | None = None
    """None: torch's default generator."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, values: Tensor) -> Tensor:
        """Drop values of a tensor of any shape and divide the remaining ones by 1 - p."""
        if not self.training or self.p == 0.0:
            return values
        # Faster on a CPU than Tensor.bernoulli_ with a generator.
        uniform = torch.rand(values.shape, generator=self.generator, device=values.device)
        return values * (uniform >= self.p).to(values.dtype).div_(1.0 - self.p)


def set_dropout_generator(model: nn.Module, generator: torch.Generator) -> None:
    """Set the random generator of every dropout layer of a model.

    Parameters
    ----------
    model : nn.Module
        The model.
    generator : torch.Generator
        Generator on the model's device.
    """
    for module in model.modules():
        if isinstance(module, Dropout):
            module.generator = generator


class UtteranceLinear(nn.Linear):
    """`nn.Linear` on one vector per utterance, computed in float32 even under autocast.

    Its cost is negligible compared with that of the products over frames.
    """

    def forward(self, vectors: Tensor) -> Tensor:
        """Map vectors [utterances, in_features] to [utterances, out_features]."""
        with torch.autocast(vectors.device.type, enabled=False):
            return super().forward(vectors.to(self.weight.dtype))


class PackedConvolution(nn.Module):
    """One-dimensional convolution of packed frames with stride 1 and zero padding ("same").

    The utterances are concatenated to one signal with half a kernel of zeros between them, and
    each tap of the kernel is one matrix product with the whole signal. torch's convolution would be
    prepared anew on a CPU for each number of frames, and hardly two batches have the same number.

    Parameters
    ----------
    in_channels : int
        Dimension of the frames.
    out_channels : int
        Dimension of the output.
    kernel_size : int
        Number of frames, odd.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(in_channels, out_channels, kernel_size)

    def forward(self, frames: Tensor, layout: PackedLayout) -> Tensor:
        """Convolve frames [total frames, in_channels] to [total frames, out_channels]."""
        taps = self.convolution.weight.permute(2, 1, 0)
        bias = self.convolution.bias
        assert bias is not None
        half = len(taps) // 2
        if not half:
            return torch.addmm(bias, frames, taps[0])
        rows = torch.arange(len(frames), device=frames.device) + half * layout.utterance
        signal = frames.new_zeros(len(frames) + half * (len(layout.lengths) + 1), frames.shape[1])
        signal = signal.index_copy(0, rows + half, frames)
        count = len(signal) - 2 * half
        convolved = torch.addmm(bias, signal[:count], taps[0])
        for offset, tap in enumerate(taps[1:], start=1):
            convolved = torch.addmm(convolved, signal[offset : offset + count], tap)
        return convolved.index_select(0, rows)
