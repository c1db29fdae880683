"""wav2vec over recordings of many minutes: the same numbers, layer by layer, a piece at a time.

The norms take their statistics over the whole recording, so a recording cannot be cut up. Here each
layer is computed over all pieces first, then normalised. The first layer's output, by far the
largest (6.5 MB a second of audio with 512 channels), is computed twice instead of being kept. What
is kept at most is the output of the second and third layer: 2.5 MB a second of audio.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from emoscale.representations.wav2vec_model import GroupNorm, Wav2Vec

Source = Callable[[int, int], Tensor]
"""Gives the frames [1, channels, last - first] that enter a layer."""

_PIECE_FRAMES = 8192


@torch.inference_mode()
def encode_long(model: Wav2Vec, waveform: Tensor) -> Tensor:
    """z [1, channels, frames] of a waveform [1, samples], as `Wav2Vec.encode` gives it."""
    architecture = model.architecture
    first, *others = model.feature_extractor.conv_layers
    convolution, _, norm, activation = first
    mean, variance = _statistics(
        (convolution(piece) for piece in _pieces(waveform[:, None], convolution)), norm
    )

    def of_first_layer(begin: int, end: int) -> Tensor:
        piece = _span(waveform[:, None], convolution, begin, end)
        normed = norm.with_statistics(convolution(piece), mean, variance)
        output: Tensor = activation(normed)
        return output

    source: Source = of_first_layer
    length = (waveform.shape[1] - convolution.kernel_size[0]) // convolution.stride[0] + 1
    frames = torch.empty(0)
    if not others:
        frames = of_first_layer(0, length)
    for layer in others:
        channels = layer[0].in_channels
        skips = architecture.skips_in_encoder(channels, layer[0].out_channels)
        frames = _layer(
            source, length, layer[0], layer[2], layer[3], architecture.residual_scale, skips
        )
        source, length = _source_of(frames), frames.shape[2]
    return torch.log_(frames.abs_() + 1) if architecture.log_compression else frames


@torch.inference_mode()
def contextualise_long(model: Wav2Vec, z: Tensor) -> Tensor:
    """c [1, channels, frames] of z, as `Wav2Vec.contextualise` gives it."""
    architecture = model.architecture
    aggregator = model.feature_aggregator
    frames = z
    for layer, project in zip(aggregator.conv_layers, aggregator.residual_proj, strict=True):
        _, convolution, _, norm, activation = layer
        source = _padded(frames, convolution.kernel_size[0] - 1, architecture.zero_pad)
        length = frames.shape[2] + convolution.kernel_size[0] - 1
        before = frames
        frames = _layer(source, length, convolution, norm, activation)
        if architecture.skip_connections_agg:
            frames.add_(project(before)).mul_(math.sqrt(architecture.residual_scale))
    return frames


def _layer(
    source: Source,
    length: int,
    convolution: nn.Conv1d,
    norm: GroupNorm,
    activation: nn.Module,
    residual_scale: float = 0.0,
    skips: bool = False,
) -> Tensor:
    """[1, channels, frames] that leave a layer, of the `length` frames that enter it."""
    kernel, stride = convolution.kernel_size[0], convolution.stride[0]
    count = (length - kernel) // stride + 1
    frames = torch.empty(
        (1, convolution.out_channels, count),
        dtype=convolution.weight.dtype,
        device=convolution.weight.device,
    )

    def convolved() -> Iterator[Tensor]:
        for begin, end in _ranges(count):
            piece = convolution(source(begin * stride, (end - 1) * stride + kernel))
            frames[..., begin:end] = piece
            yield piece

    mean, variance = _statistics(convolved(), norm)
    for begin, end in _ranges(count):
        piece = activation(norm.with_statistics(frames[..., begin:end], mean, variance))
        if skips:
            step = length // count
            before = source(begin * step, (end - 1) * step + 1)[..., ::step]
            piece = (piece + before) * math.sqrt(residual_scale)
        frames[..., begin:end] = piece
    return frames


def _statistics(pieces: Iterator[Tensor], norm: GroupNorm) -> tuple[Tensor, Tensor]:
    """Mean and variance [groups] over all frames of all pieces, in float64."""
    total, squares, count = torch.zeros(1), torch.zeros(1), 0
    for piece in pieces:
        grouped = piece[0].reshape(norm.num_groups, -1).double()
        total = total.to(grouped) + grouped.sum(dim=1)
        squares = squares.to(grouped) + grouped.square().sum(dim=1)
        count += grouped.shape[1]
    mean = total / count
    return mean, (squares / count - mean.square()).clamp(min=0.0)


def _ranges(count: int) -> Iterator[tuple[int, int]]:
    for begin in range(0, count, _PIECE_FRAMES):
        yield begin, min(begin + _PIECE_FRAMES, count)


def _span(frames: Tensor, convolution: nn.Conv1d, begin: int, end: int) -> Tensor:
    """What the output frames `begin` to `end` of a convolution are computed from."""
    kernel, stride = convolution.kernel_size[0], convolution.stride[0]
    return frames[..., begin * stride : (end - 1) * stride + kernel]


def _pieces(frames: Tensor, convolution: nn.Conv1d) -> Iterator[Tensor]:
    count = (frames.shape[2] - convolution.kernel_size[0]) // convolution.stride[0] + 1
    for begin, end in _ranges(count):
        yield _span(frames, convolution, begin, end)


def _source_of(frames: Tensor) -> Source:
    return lambda begin, end: frames[..., begin:end]


def _padded(frames: Tensor, left: int, zero: bool) -> Source:
    """Frames with `left` zeros, or repetitions of the first, before them."""

    def source(begin: int, end: int) -> Tensor:
        part = frames[..., max(begin - left, 0) : end - left]
        missing = min(max(left - begin, 0), end - begin)
        if not missing:
            return part
        if zero:
            return functional.pad(part, (missing, 0))
        return torch.cat([frames[..., :1].expand(-1, -1, missing), part], dim=2)

    return source
