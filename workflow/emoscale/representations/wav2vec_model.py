"""wav2vec (Schneider et al. 2019): encoder and context network, independent of fairseq.

Modules have the names of fairseq's, so that fairseq's state dicts can be loaded. Flags have the
meaning that they have in fairseq; a flag that a checkpoint lacks has the value that corresponds to
fairseq before the flag was introduced.
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
"""Output channels, kernel size and stride of each layer."""

# The layers of wav2vec_large, fairseq's default for checkpoints that do not state theirs.
_DEFAULT_ENCODER = "[(512, 10, 5), (512, 8, 4)] + [(512, 4, 2)] * 3 + [(512, 1, 1)] * 2"
_DEFAULT_AGGREGATOR = str([(512, kernel, 1) for kernel in range(2, 14)])


class ArchitectureError(Exception):
    """A checkpoint describes an architecture that is not supported."""


_MAX_WEIGHTS = 1_000_000_000


@dataclass(frozen=True)
class Wav2VecArchitecture:
    """Hyperparameters of a wav2vec model, from a checkpoint."""

    encoder: ConvolutionLayers
    """Layers of the encoder."""

    aggregator: ConvolutionLayers
    """Layers of the context network."""

    skip_connections_feat: bool
    """Whether the encoder has skip connections."""

    skip_connections_agg: bool
    """Whether the context network has skip connections."""

    residual_scale: float
    """Square of the factor of sums at skip connections."""

    log_compression: bool
    """Whether z is log(1 + abs(output of the encoder's last layer))."""

    affine: bool
    """Whether group norms have a weight and a bias."""

    convolution_bias: bool
    """Whether the context network's convolutions have a bias."""

    zero_pad: bool
    """Whether the context network pads with zeros instead of repetitions of the first frame."""

    activation: str
    """Activation function: relu or gelu."""

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any]) -> Wav2VecArchitecture:
        """Read the architecture from fairseq's arguments.

        Parameters
        ----------
        arguments : mapping of str to Any
            A checkpoint's `args` or `cfg.model`.

        Returns
        -------
        Wav2VecArchitecture
            Architecture of the checkpoint.

        Raises
        ------
        ArchitectureError
            If the arguments are invalid or not supported.
        """
        if arguments.get("aggregator", "cnn") != "cnn":
            raise ArchitectureError(f"aggregator {arguments['aggregator']} is not supported")
        activation = arguments.get("activation", "relu")
        if activation not in ("relu", "gelu"):
            raise ArchitectureError(f"activation {activation} is not supported")
        return cls(
            encoder=parse_layers(arguments.get("conv_feature_layers", _DEFAULT_ENCODER)),
            aggregator=parse_layers(arguments.get("conv_aggregator_layers", _DEFAULT_AGGREGATOR)),
            skip_connections_feat=bool(arguments.get("skip_connections_feat", False)),
            skip_connections_agg=bool(arguments.get("skip_connections_agg", False)),
            residual_scale=_float_argument(arguments, "residual_scale", 0.5),
            log_compression=bool(arguments.get("log_compression", False)),
            affine=not arguments.get("non_affine_group_norm", False),
            convolution_bias=not arguments.get("no_conv_bias", False),
            zero_pad=bool(arguments.get("agg_zero_pad", False)),
            activation=activation,
        )

    @property
    def hop_samples(self) -> int:
        """Hop between frames in samples."""
        return math.prod(stride for _, _, stride in self.encoder)

    def has_encoder_skip(self, in_channels: int, out_channels: int) -> bool:
        """Return whether an encoder layer has a skip connection.

        Parameters
        ----------
        in_channels : int
            Channels of the layer's input.
        out_channels : int
            Channels of its output.

        Returns
        -------
        bool
            True if the layer's input is added to its output.
        """
        return self.skip_connections_feat and in_channels == out_channels

    def frame_count(self, samples: int) -> int:
        """Return the number of frames of a waveform.

        Parameters
        ----------
        samples : int
            Number of samples at 16 kHz.

        Returns
        -------
        int
            Number of frames; 0 if the waveform is shorter than `minimum_samples`.
        """
        for _, kernel, stride in self.encoder:
            samples = (samples - kernel) // stride + 1 if samples >= kernel else 0
        return samples

    @property
    def minimum_samples(self) -> int:
        """Receptive field of one frame in samples."""
        samples = 1
        for _, kernel, stride in reversed(self.encoder):
            samples = (samples - 1) * stride + kernel
        return samples


def parse_layers(text: str) -> ConvolutionLayers:
    """Parse the Python expression that describes layers in a checkpoint, without executing it.

    Parameters
    ----------
    text : str
        A list of tuples (channels, kernel, stride), or sums and multiples of such lists.

    Returns
    -------
    tuple of tuple of int
        Output channels, kernel size and stride of each layer.

    Raises
    ------
    ArchitectureError
        If the text is anything else, or describes more than a billion weights.

    Examples
    --------
    >>> parse_layers("[(512, 10, 5)] + [(512, 4, 2)] * 2")
    ((512, 10, 5), (512, 4, 2), (512, 4, 2))
    """
    try:
        layers = _evaluate_literal(ast.parse(text, mode="eval").body)
        parsed = tuple((int(c), int(k), int(s)) for c, k, s in layers)
    except (
        SyntaxError,
        ValueError,
        TypeError,
        OverflowError,
        RecursionError,
        MemoryError,
    ) as error:
        raise ArchitectureError(f"layers {text!r} are not supported") from error
    if (
        not parsed
        or any(min(layer) < 1 for layer in parsed)
        or _weight_count(parsed) > _MAX_WEIGHTS
    ):
        raise ArchitectureError(f"layers {text!r} are not supported")
    return parsed


def _weight_count(layers: ConvolutionLayers) -> int:
    """Count the weights of the layers, which are allocated before a checkpoint is loaded."""
    all_in_channels = [1, *(channels for channels, _, _ in layers)]
    return sum(
        in_channels * channels * kernel
        for in_channels, (channels, kernel, _) in zip(all_in_channels, layers, strict=False)
    )


def _float_argument(arguments: Mapping[str, Any], name: str, default: float) -> float:
    value = arguments.get(name, default)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ArchitectureError(f"{name} {value!r} is not a finite number")
    return float(value)


def _evaluate_literal(node: ast.expr) -> Any:
    """Value of a literal, a sum of lists, or a list times a number, as in fairseq's arguments."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _evaluate_literal(node.left) + _evaluate_literal(node.right)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        left, right = _evaluate_literal(node.left), _evaluate_literal(node.right)
        count = right if isinstance(right, int) else left
        items = left if count is right else right
        if not isinstance(count, int) or not isinstance(items, list):
            raise ValueError("not a list times a number")
        if not 0 <= count <= 100 or count * len(items) > 1000:
            raise ValueError("a list is repeated too often")
        return left * right
    return ast.literal_eval(node)


class GroupNorm(nn.GroupNorm):
    """Group normalisation over a group's channels and all frames of an utterance, in float32.

    Parameters
    ----------
    channels : int
        Number of channels.
    affine : bool
        Whether the result is scaled and shifted per channel.
    groups : int
        Number of groups.
    """

    def __init__(self, channels: int, affine: bool, groups: int = 1) -> None:
        super().__init__(groups, channels, affine=affine)

    def forward(self, frames: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Normalise a batch of utterances.

        Parameters
        ----------
        frames : Tensor
            ``[batch, channels, frames]``.
        lengths : Tensor or None
            ``[batch]``, number of valid frames of each utterance. Padded frames do not enter the
            statistics, and their outputs are undefined.

        Returns
        -------
        Tensor
            Normalised frames, of the shape and type of the input.
        """
        if lengths is None:
            weight, bias = self._float_weights()
            normed = functional.group_norm(frames.float(), self.num_groups, weight, bias, self.eps)
            return normed.type_as(frames)
        grouped = frames.float().reshape(len(frames), self.num_groups, -1, frames.shape[2])
        valid = torch.arange(frames.shape[2], device=frames.device) < lengths[:, None]
        mask = valid[:, None, None, :]
        count = lengths.view(-1, 1, 1, 1) * grouped.shape[2]
        mean = (grouped * mask).sum(dim=(2, 3), keepdim=True) / count
        centred = grouped - mean
        variance = (centred * mask).square().sum(dim=(2, 3), keepdim=True) / count
        normed = (centred * torch.rsqrt(variance + self.eps)).flatten(1, 2)
        return self._apply_affine(normed).type_as(frames)

    def apply_statistics(self, frames: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
        """Normalise frames with statistics that were computed before.

        Parameters
        ----------
        frames : Tensor
            ``[1, channels, frames]``.
        mean : Tensor
            ``[groups]``.
        variance : Tensor
            ``[groups]``.

        Returns
        -------
        Tensor
            Normalised frames, of the shape and type of the input.
        """
        grouped = frames.float().reshape(len(frames), self.num_groups, -1, frames.shape[2])
        scale = torch.rsqrt(variance + self.eps).float().view(1, -1, 1, 1)
        normed = ((grouped - mean.float().view(1, -1, 1, 1)) * scale).flatten(1, 2)
        return self._apply_affine(normed).type_as(frames)

    def _apply_affine(self, frames: Tensor) -> Tensor:
        weight, bias = self._float_weights()
        if weight is None or bias is None:
            return frames
        return frames * weight[:, None] + bias[:, None]

    def _float_weights(self) -> tuple[Tensor | None, Tensor | None]:
        weight = None if self.weight is None else self.weight.float()
        return weight, None if self.bias is None else self.bias.float()


def build_activation(name: str) -> nn.Module:
    """Build an activation function.

    Parameters
    ----------
    name : str
        "relu" or "gelu".

    Returns
    -------
    nn.Module
        The activation function.
    """
    return nn.ReLU(inplace=True) if name == "relu" else nn.GELU()


class _Encoder(nn.Module):
    """Encoder from waveforms ``[batch, samples]`` to z ``[batch, channels, frames]``."""

    def __init__(self, architecture: Wav2VecArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.conv_layers: Any = nn.ModuleList()
        in_channels = 1
        for channels, kernel, stride in architecture.encoder:
            self.conv_layers.append(
                nn.Sequential(
                    Convolution(in_channels, channels, kernel, stride, bias=False),
                    nn.Identity(),  # fairseq's dropout, which is inactive
                    GroupNorm(channels, architecture.affine),
                    build_activation(architecture.activation),
                )
            )
            in_channels = channels

    def forward(self, waveforms: Tensor, lengths: Tensor | None = None) -> Tensor:
        frames = waveforms.unsqueeze(1)
        for layer in self.conv_layers:
            convolution, _, norm, activation = layer
            if lengths is not None:
                lengths = (lengths - convolution.kernel_size[0]) // convolution.stride[0] + 1
            inputs, frames = frames, activation(norm(convolution(frames), lengths))
            if self.architecture.has_encoder_skip(inputs.shape[1], frames.shape[1]):
                count = frames.shape[2]
                subsampled = inputs[..., :: inputs.shape[2] // count][..., :count]
                frames = (frames + subsampled) * math.sqrt(self.architecture.residual_scale)
        if self.architecture.log_compression:
            frames = torch.log(frames.abs() + 1)
        return frames


class _Aggregator(nn.Module):
    """Causal context network from z to c, both ``[batch, channels, frames]``."""

    def __init__(self, architecture: Wav2VecArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.conv_layers: Any = nn.ModuleList()
        self.residual_proj: Any = nn.ModuleList()
        in_channels = architecture.encoder[-1][0]
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
                        in_channels, channels, kernel, stride, bias=architecture.convolution_bias
                    ),
                    nn.Identity(),  # fairseq's dropout, which is inactive
                    GroupNorm(channels, architecture.affine),
                    build_activation(architecture.activation),
                )
            )
            projects = architecture.skip_connections_agg and in_channels != channels
            self.residual_proj.append(
                nn.Conv1d(in_channels, channels, 1, bias=False) if projects else nn.Identity()
            )
            in_channels = channels

    def forward(self, frames: Tensor, lengths: Tensor | None = None) -> Tensor:
        for layer, project in zip(self.conv_layers, self.residual_proj, strict=True):
            pad, convolution, _, norm, activation = layer
            inputs, frames = frames, activation(norm(convolution(pad(frames)), lengths))
            if self.architecture.skip_connections_agg:
                scale = math.sqrt(self.architecture.residual_scale)
                frames = (frames + project(inputs)) * scale
        return frames


class Wav2Vec(nn.Module):
    """wav2vec: an encoder (waveform to z) and a context network (z to c).

    In the public model, z has a receptive field of 29 ms and c one of 0.8 s; both have 512 channels
    and a hop of 10 ms. Utterances of different lengths can be padded at the end to form a batch: if
    their lengths are passed, the norms over time exclude the padding, and each utterance has the
    output that it has in a batch of its own.

    Parameters
    ----------
    architecture : Wav2VecArchitecture
        Hyperparameters.

    References
    ----------
    Schneider, Baevski, Collobert and Auli 2019, wav2vec: Unsupervised Pre-training for Speech
    Recognition.
    """

    def __init__(self, architecture: Wav2VecArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        self.feature_extractor: Any = _Encoder(architecture)
        self.feature_aggregator: Any = _Aggregator(architecture)

    def encode(self, waveforms: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Compute z.

        Parameters
        ----------
        waveforms : Tensor
            ``[batch, samples]`` at 16 kHz.
        lengths : Tensor or None
            ``[batch]``, number of samples of each waveform without padding.

        Returns
        -------
        Tensor
            z, ``[batch, channels, frames]``.
        """
        z: Tensor = self.feature_extractor(waveforms, lengths)
        return z

    def contextualise(self, z: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Compute c.

        Parameters
        ----------
        z : Tensor
            ``[batch, channels, frames]``.
        lengths : Tensor or None
            ``[batch]``, number of frames of each utterance without padding.

        Returns
        -------
        Tensor
            c, ``[batch, channels, frames]``.
        """
        c: Tensor = self.feature_aggregator(z, lengths)
        return c

    def prepare(self) -> None:
        """Select fast convolutions for the present weights, which must be float32 on a CPU."""
        for module in self.modules():
            if isinstance(module, Convolution):
                module.prepare()
