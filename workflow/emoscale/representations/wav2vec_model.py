"""wav2vec (Schneider et al. 2019): the encoder and the context network, without fairseq.

Modules are named so that fairseq's state dicts load as they are. What the flags mean is fairseq's;
a flag that a checkpoint does not state has the value that fairseq had before it was introduced.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from emoscale.representations.fast_convolution import Convolution

ConvolutionLayers = tuple[tuple[int, int, int], ...]
"""Channels, kernel and stride of each layer."""

# wav2vec_large's, which fairseq takes where a checkpoint does not state its own.
_ENCODER = "[(512, 10, 5), (512, 8, 4)] + [(512, 4, 2)] * 3 + [(512, 1, 1)] * 2"
_AGGREGATOR = str([(512, kernel, 1) for kernel in range(2, 14)])


class ArchitectureError(Exception):
    """A checkpoint states an architecture that this module does not compute."""


_MOST_WEIGHTS = 1_000_000_000


@dataclass(frozen=True)
class Wav2VecArchitecture:
    """What decides the computation, as a checkpoint states it."""

    encoder: ConvolutionLayers
    aggregator: ConvolutionLayers
    skip_connections_feat: bool
    skip_connections_agg: bool
    residual_scale: float
    log_compression: bool
    affine: bool
    convolution_bias: bool
    zero_pad: bool
    activation: str

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any]) -> Wav2VecArchitecture:
        """From a checkpoint's `args` (or `cfg.model`); raises `ArchitectureError`."""
        if arguments.get("aggregator", "cnn") != "cnn":
            raise ArchitectureError(f"aggregator {arguments['aggregator']} is not computed here")
        activation = arguments.get("activation", "relu")
        if activation not in ("relu", "gelu"):
            raise ArchitectureError(f"activation {activation} is not computed here")
        return cls(
            encoder=parse_layers(arguments.get("conv_feature_layers", _ENCODER)),
            aggregator=parse_layers(arguments.get("conv_aggregator_layers", _AGGREGATOR)),
            skip_connections_feat=bool(arguments.get("skip_connections_feat", False)),
            skip_connections_agg=bool(arguments.get("skip_connections_agg", False)),
            residual_scale=_number(arguments, "residual_scale", 0.5),
            log_compression=bool(arguments.get("log_compression", False)),
            affine=not arguments.get("non_affine_group_norm", False),
            convolution_bias=not arguments.get("no_conv_bias", False),
            zero_pad=bool(arguments.get("agg_zero_pad", False)),
            activation=activation,
        )

    @property
    def hop_samples(self) -> int:
        """Samples from one frame to the next."""
        return math.prod(stride for _, _, stride in self.encoder)

    def skips_in_encoder(self, entering: int, leaving: int) -> bool:
        """Whether an encoder layer with so many channels adds what enters it."""
        return self.skip_connections_feat and entering == leaving

    def frames_of(self, samples: int) -> int:
        """Frames of a waveform of so many samples; 0 where it is too short."""
        for _, kernel, stride in self.encoder:
            samples = (samples - kernel) // stride + 1 if samples >= kernel else 0
        return samples

    @property
    def minimum_samples(self) -> int:
        """Samples that one frame needs."""
        samples = 1
        for _, kernel, stride in reversed(self.encoder):
            samples = (samples - 1) * stride + kernel
        return samples


def parse_layers(text: str) -> ConvolutionLayers:
    """Layers from the Python literal that checkpoints hold; nothing is executed.

    >>> parse_layers("[(512, 10, 5)] + [(512, 4, 2)] * 2")
    ((512, 10, 5), (512, 4, 2), (512, 4, 2))
    """
    try:
        layers = _literal(ast.parse(text, mode="eval").body)
        parsed = tuple((int(c), int(k), int(s)) for c, k, s in layers)
    except (
        SyntaxError,
        ValueError,
        TypeError,
        OverflowError,
        RecursionError,
        MemoryError,
    ) as error:
        raise ArchitectureError(f"layers {text!r} are not understood") from error
    if not parsed or any(min(layer) < 1 for layer in parsed) or _weights_of(parsed) > _MOST_WEIGHTS:
        raise ArchitectureError(f"layers {text!r} are not understood")
    return parsed


def _weights_of(layers: ConvolutionLayers) -> int:
    """How many weights such layers have, which are made before those of the file are read."""
    entering = [1, *(channels for channels, _, _ in layers)]
    return sum(
        before * channels * kernel
        for before, (channels, kernel, _) in zip(entering, layers, strict=False)
    )


def _number(arguments: Mapping[str, Any], name: str, default: float) -> float:
    value = arguments.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ArchitectureError(f"{name} {value!r} is not understood")
    return float(value)


def _literal(node: ast.expr) -> Any:
    """Literals, sums of lists, and a list times a number: how fairseq's layers are written."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _literal(node.left) + _literal(node.right)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        left, right = _literal(node.left), _literal(node.right)
        count = right if isinstance(right, int) else left
        items = left if count is right else right
        if not isinstance(count, int) or not isinstance(items, list):
            raise ValueError("not a list times a number")
        if not 0 <= count <= 100 or count * len(items) > 1000:
            raise ValueError("a list is repeated too often")
        return left * right
    return ast.literal_eval(node)


class GroupNorm(nn.GroupNorm):
    """Over a group's channels and all frames of an utterance, in float32."""

    def __init__(self, channels: int, affine: bool, groups: int = 1) -> None:
        super().__init__(groups, channels, affine=affine)

    def forward(self, frames: Tensor, lengths: Tensor | None = None) -> Tensor:
        """[batch, channels, frames] to the same shape and type.

        With `lengths` [batch], only so many frames of each utterance count (and are right).
        """
        if lengths is None:
            weight, bias = self._weights()
            normed = functional.group_norm(frames.float(), self.num_groups, weight, bias, self.eps)
            return normed.type_as(frames)
        grouped = frames.float().reshape(len(frames), self.num_groups, -1, frames.shape[2])
        there = torch.arange(frames.shape[2], device=frames.device) < lengths[:, None]
        mask = there[:, None, None, :]
        count = lengths.view(-1, 1, 1, 1) * grouped.shape[2]
        mean = (grouped * mask).sum(dim=(2, 3), keepdim=True) / count
        centred = grouped - mean
        variance = (centred * mask).square().sum(dim=(2, 3), keepdim=True) / count
        scaled = (centred * torch.rsqrt(variance + self.eps)).flatten(1, 2)
        return self._affine(scaled).type_as(frames)

    def with_statistics(self, frames: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """Normalise frames [1, channels, frames] with a [groups] mean and variance at hand."""
        grouped = frames.float().reshape(len(frames), self.num_groups, -1, frames.shape[2])
        scale = torch.rsqrt(variance + self.eps).float().view(1, -1, 1, 1)
        scaled = ((grouped - mean.float().view(1, -1, 1, 1)) * scale).flatten(1, 2)
        return self._affine(scaled).type_as(frames)

    def _affine(self, frames: Tensor) -> Tensor:
        weight, bias = self._weights()
        if weight is None or bias is None:
            return frames
        return frames * weight[:, None] + bias[:, None]

    def _weights(self) -> tuple[Tensor | None, Tensor | None]:
        weight = None if self.weight is None else self.weight.float()
        return weight, None if self.bias is None else self.bias.float()


def activation_named(name: str) -> nn.Module:
    """`relu` or `gelu`."""
    return nn.ReLU(inplace=True) if name == "relu" else nn.GELU()


class _Encoder(nn.Module):
    """[batch, samples] to z [batch, channels, frames]."""

    def __init__(self, architecture: Wav2VecArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.conv_layers: Any = nn.ModuleList()
        entering = 1
        for channels, kernel, stride in architecture.encoder:
            self.conv_layers.append(
                nn.Sequential(
                    Convolution(entering, channels, kernel, stride, bias=False),
                    nn.Identity(),  # dropout, which is off
                    GroupNorm(channels, architecture.affine),
                    activation_named(architecture.activation),
                )
            )
            entering = channels

    def forward(self, waveforms: Tensor, lengths: Tensor | None = None) -> Tensor:
        frames = waveforms.unsqueeze(1)
        for layer in self.conv_layers:
            convolution, _, norm, activation = layer
            if lengths is not None:
                lengths = (lengths - convolution.kernel_size[0]) // convolution.stride[0] + 1
            before, frames = frames, activation(norm(convolution(frames), lengths))
            if self.architecture.skips_in_encoder(before.shape[1], frames.shape[1]):
                count = frames.shape[2]
                thinned = before[..., :: before.shape[2] // count][..., :count]
                frames = (frames + thinned) * math.sqrt(self.architecture.residual_scale)
        if self.architecture.log_compression:
            frames = torch.log(frames.abs() + 1)
        return frames


class _Aggregator(nn.Module):
    """z [batch, channels, frames] to c of as many frames; each looks at the past only."""

    def __init__(self, architecture: Wav2VecArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.conv_layers: Any = nn.ModuleList()
        self.residual_proj: Any = nn.ModuleList()
        entering = architecture.encoder[-1][0]
        for channels, kernel, stride in architecture.aggregator:
            pad: nn.Module = (
                nn.ConstantPad1d((kernel - 1, 0), 0.0)
                if architecture.zero_pad
                else nn.ReplicationPad1d((kernel - 1, 0))
            )
            self.conv_layers.append(
                nn.Sequential(
                    pad,
                    Convolution(
                        entering, channels, kernel, stride, bias=architecture.convolution_bias
                    ),
                    nn.Identity(),  # dropout, which is off
                    GroupNorm(channels, architecture.affine),
                    activation_named(architecture.activation),
                )
            )
            projects = architecture.skip_connections_agg and entering != channels
            self.residual_proj.append(
                nn.Conv1d(entering, channels, 1, bias=False) if projects else nn.Identity()
            )
            entering = channels

    def forward(self, frames: Tensor, lengths: Tensor | None = None) -> Tensor:
        for layer, project in zip(self.conv_layers, self.residual_proj, strict=True):
            pad, convolution, _, norm, activation = layer
            before, frames = frames, activation(norm(convolution(pad(frames)), lengths))
            if self.architecture.skip_connections_agg:
                scale = math.sqrt(self.architecture.residual_scale)
                frames = (frames + project(before)) * scale
        return frames


class Wav2Vec(nn.Module):
    """z (local, 29 ms) and c (with context, 0.8 s), 512 values every 10 ms in the public model.

    Of a batch of utterances of different lengths, padded at the end with anything, each gets what
    it gets alone where its length is given: norms over time leave the padding out.
    """

    def __init__(self, architecture: Wav2VecArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.feature_extractor: Any = _Encoder(architecture)
        self.feature_aggregator: Any = _Aggregator(architecture)

    def encode(self, waveforms: Tensor, samples: Tensor | None = None) -> Tensor:
        """z [batch, channels, frames] of waveforms [batch, samples] at 16 kHz.

        `samples` [batch] says how many of each waveform count, where they differ.
        """
        frames: Tensor = self.feature_extractor(waveforms, samples)
        return frames

    def contextualise(self, z: Tensor, frames: Tensor | None = None) -> Tensor:
        """c [batch, channels, frames] of z; `frames` [batch] that count, where they differ."""
        context: Tensor = self.feature_aggregator(z, frames)
        return context

    def prepare(self) -> None:
        """Compute faster from now on, with the weights as they are now: float32, on a CPU."""
        for module in self.modules():
            if isinstance(module, Convolution):
                module.prepare()
