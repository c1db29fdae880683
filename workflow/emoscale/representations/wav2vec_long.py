"""wav2vec for recordings of many minutes: same output as in one pass, with much less memory.

The norms take their statistics over the whole recording, so a recording cannot be split for the
whole network. Instead, each layer is computed block by block over all frames and then normalised.
The output of the first layer, by far the largest (6.5 MB per second of audio with 512 channels), is
computed twice instead of stored. At most the outputs of the second and third layer are stored at
the same time: 2.5 MB per second of audio.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from emoscale.representations.wav2vec_model import GroupNorm, Wav2Vec

FrameReader = Callable[[int, int], Tensor]
"""Returns the frames ``[1, channels, end - start]`` from start to end of a layer's input."""

_BLOCK_FRAMES = 8192


@torch.inference_mode()
def encode_long(model: Wav2Vec, waveform: Tensor) -> Tensor:
    """Compute z of a long recording, as `Wav2Vec.encode` does.

    Parameters
    ----------
    model : Wav2Vec
        The network.
    waveform : Tensor
        ``[1, samples]`` at 16 kHz.

    Returns
    -------
    Tensor
        z, ``[1, channels, frames]``.
    """
    architecture = model.architecture
    first_layer, *further_layers = model.feature_extractor.conv_layers
    convolution, _, norm, activation = first_layer
    mean, variance = _statistics(
        (convolution(block) for block in _input_blocks(waveform[:, None], convolution)), norm
    )

    def read_first_output(start: int, end: int) -> Tensor:
        inputs = _receptive_field(waveform[:, None], convolution, start, end)
        normed = norm.apply_statistics(convolution(inputs), mean, variance)
        output: Tensor = activation(normed)
        return output

    read: FrameReader = read_first_output
    length = (waveform.shape[1] - convolution.kernel_size[0]) // convolution.stride[0] + 1
    frames = torch.empty(0)
    if not further_layers:
        frames = read_first_output(0, length)
    for layer in further_layers:
        in_channels = layer[0].in_channels
        has_skip = architecture.has_encoder_skip(in_channels, layer[0].out_channels)
        frames = _compute_layer(
            read, length, layer[0], layer[2], layer[3], architecture.residual_scale, has_skip
        )
        read, length = _tensor_reader(frames), frames.shape[2]
    return torch.log_(frames.abs_() + 1) if architecture.log_compression else frames


@torch.inference_mode()
def contextualise_long(model: Wav2Vec, z: Tensor) -> Tensor:
    """Compute c of a long recording, as `Wav2Vec.contextualise` does.

    Parameters
    ----------
    model : Wav2Vec
        The network.
    z : Tensor
        ``[1, channels, frames]``.

    Returns
    -------
    Tensor
        c, ``[1, channels, frames]``.
    """
    architecture = model.architecture
    aggregator = model.feature_aggregator
    frames = z
    for layer, project in zip(aggregator.conv_layers, aggregator.residual_proj, strict=True):
        _, convolution, _, norm, activation = layer
        read = _padded_reader(frames, convolution.kernel_size[0] - 1, architecture.zero_pad)
        length = frames.shape[2] + convolution.kernel_size[0] - 1
        inputs = frames
        frames = _compute_layer(read, length, convolution, norm, activation)
        if architecture.skip_connections_agg:
            frames.add_(project(inputs)).mul_(math.sqrt(architecture.residual_scale))
    return frames


def _compute_layer(
    read: FrameReader,
    length: int,
    convolution: nn.Conv1d,
    norm: GroupNorm,
    activation: nn.Module,
    residual_scale: float = 0.0,
    has_skip: bool = False,
) -> Tensor:
    """Output ``[1, channels, frames]`` of a layer whose input has `length` frames."""
    kernel, stride = convolution.kernel_size[0], convolution.stride[0]
    count = (length - kernel) // stride + 1
    frames = torch.empty(
        (1, convolution.out_channels, count),
        dtype=convolution.weight.dtype,
        device=convolution.weight.device,
    )

    def convolve() -> Iterator[Tensor]:
        for start, end in _block_ranges(count):
            block = convolution(read(start * stride, (end - 1) * stride + kernel))
            frames[..., start:end] = block
            yield block

    mean, variance = _statistics(convolve(), norm)
    for start, end in _block_ranges(count):
        block = activation(norm.apply_statistics(frames[..., start:end], mean, variance))
        if has_skip:
            step = length // count
            inputs = read(start * step, (end - 1) * step + 1)[..., ::step]
            block = (block + inputs) * math.sqrt(residual_scale)
        frames[..., start:end] = block
    return frames


def _statistics(blocks: Iterator[Tensor], norm: GroupNorm) -> tuple[Tensor, Tensor]:
    """Mean and variance ``[groups]`` over all frames of all blocks, in float64."""
    total, squares, count = torch.zeros(1), torch.zeros(1), 0
    for block in blocks:
        grouped = block[0].reshape(norm.num_groups, -1).double()
        total = total.to(grouped) + grouped.sum(dim=1)
        squares = squares.to(grouped) + grouped.square().sum(dim=1)
        count += grouped.shape[1]
    mean = total / count
    return mean, (squares / count - mean.square()).clamp(min=0.0)


def _block_ranges(count: int) -> Iterator[tuple[int, int]]:
    for start in range(0, count, _BLOCK_FRAMES):
        yield start, min(start + _BLOCK_FRAMES, count)


def _receptive_field(frames: Tensor, convolution: nn.Conv1d, start: int, end: int) -> Tensor:
    """Input frames of a convolution from which its output frames `start` to `end` are computed."""
    kernel, stride = convolution.kernel_size[0], convolution.stride[0]
    return frames[..., start * stride : (end - 1) * stride + kernel]


def _input_blocks(frames: Tensor, convolution: nn.Conv1d) -> Iterator[Tensor]:
    count = (frames.shape[2] - convolution.kernel_size[0]) // convolution.stride[0] + 1
    for start, end in _block_ranges(count):
        yield _receptive_field(frames, convolution, start, end)


def _tensor_reader(frames: Tensor) -> FrameReader:
    return lambda start, end: frames[..., start:end]


def _padded_reader(frames: Tensor, padding: int, zeros: bool) -> FrameReader:
    """Reader of frames after left padding with zeros or with repetitions of the first frame."""

    def read(start: int, end: int) -> Tensor:
        unpadded = frames[..., max(start - padding, 0) : end - padding]
        missing = min(max(padding - start, 0), end - start)
        if not missing:
            return unpadded
        if zeros:
            return functional.pad(unpadded, (missing, 0))
        return torch.cat([frames[..., :1].expand(-1, -1, missing), unpadded], dim=2)

    return read
