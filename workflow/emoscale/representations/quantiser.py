"""Quantisers of vq-wav2vec (Baevski et al. 2020): one code per frame and group.

Modules have the names of fairseq's, so that fairseq's state dicts can be loaded. Only inference is
implemented: no sampling and no losses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from emoscale.representations.wav2vec_model import ArchitectureError, GroupNorm, build_activation

_HIDDEN_FACTOR = 2
"""Size of hidden layers between z and the logits, relative to z, as in fairseq."""


@dataclass(frozen=True)
class QuantiserArchitecture:
    """Hyperparameters of a quantiser, from a checkpoint."""

    kind: str
    """gumbel or kmeans."""

    dimension: int
    """Dimension of z."""

    vector_dimension: int
    """Dimension of the quantised vectors, all groups concatenated."""

    groups: int
    """Number of groups, each of which has one code per frame."""

    codes: int
    """Number of codes per group."""

    depth: int
    """Number of linear layers from z to the logits of a Gumbel quantiser."""

    shared: bool
    """Whether all groups share one codebook."""

    activation: str
    """Activation function between the linear layers: relu or gelu."""

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any], dimension: int) -> QuantiserArchitecture:
        """Read the architecture from fairseq's arguments.

        Parameters
        ----------
        arguments : mapping of str to Any
            A checkpoint's `args` or `cfg.model`.
        dimension : int
            Dimension of z.

        Returns
        -------
        QuantiserArchitecture
            Architecture of the checkpoint's quantiser.

        Raises
        ------
        ArchitectureError
            If the checkpoint has no quantiser, or one that is not supported.
        """
        kind = arguments.get("vq_type", "none")
        if kind not in ("gumbel", "kmeans"):
            raise ArchitectureError(f"it has no supported quantiser (vq_type {kind})")
        vector_dimension = int(arguments.get("vq_dim", 0)) or dimension
        groups = int(arguments.get("vq_groups", 2))
        if vector_dimension % groups:
            raise ArchitectureError(f"vq_dim {vector_dimension} is no multiple of {groups} groups")
        return cls(
            kind=kind,
            dimension=dimension,
            vector_dimension=vector_dimension,
            groups=groups,
            codes=int(arguments.get("vq_vars", 320)),
            depth=int(arguments.get("vq_depth", 1)),
            shared=bool(arguments.get("combine_groups", False)),
            activation=str(arguments.get("activation", "relu")),
        )


class GumbelQuantiser(nn.Module):
    """Quantiser whose codes are the argmax of a projection of z to logits.

    Parameters
    ----------
    architecture : QuantiserArchitecture
        Hyperparameters.
    """

    def __init__(self, architecture: QuantiserArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        width = architecture.vector_dimension // architecture.groups
        codebooks = 1 if architecture.shared else architecture.groups
        self.vars = nn.Parameter(torch.empty(1, codebooks * architecture.codes, width))
        logits = architecture.groups * architecture.codes
        if architecture.depth == 1:
            self.weight_proj: nn.Module = nn.Linear(architecture.dimension, logits)
            return
        hidden_size = architecture.dimension * _HIDDEN_FACTOR
        in_features = [architecture.dimension] + [hidden_size] * (architecture.depth - 2)
        hidden_layers = [
            nn.Sequential(nn.Linear(size, hidden_size), build_activation(architecture.activation))
            for size in in_features
        ]
        self.weight_proj = nn.Sequential(*hidden_layers, nn.Linear(hidden_size, logits))

    def forward(self, z: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the codes of each frame.

        Parameters
        ----------
        z : Tensor
            ``[batch, channels, frames]``.
        lengths : Tensor or None
            Ignored, since the code of a frame does not depend on other frames.

        Returns
        -------
        Tensor
            Codes, ``[batch, frames, groups]``.
        """
        logits = self.weight_proj(z.transpose(1, 2))
        grouped = logits.unflatten(2, (self.architecture.groups, self.architecture.codes))
        codes: Tensor = grouped.argmax(dim=3)
        return codes

    def codebook(self) -> Tensor:
        """Return the vectors ``[groups, codes, width]``; groups may share them."""
        width = self.vars.shape[2]
        codebooks = self.vars.detach().reshape(-1, self.architecture.codes, width)
        return codebooks.expand(self.architecture.groups, -1, -1)


class KmeansQuantiser(nn.Module):
    """Quantiser whose codes are the nearest vectors to a normalised projection of z.

    Parameters
    ----------
    architecture : QuantiserArchitecture
        Hyperparameters.
    """

    def __init__(self, architecture: QuantiserArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        width = architecture.vector_dimension // architecture.groups
        codebooks = 1 if architecture.shared else architecture.groups
        self.embedding = nn.Parameter(torch.empty(architecture.codes, codebooks, width))
        size = architecture.dimension
        self.projection = nn.Sequential(
            nn.Conv1d(size, size, 1, groups=architecture.groups, bias=False),
            GroupNorm(size, affine=True, groups=architecture.groups),
        )

    def forward(self, z: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Return the codes of each frame.

        Parameters
        ----------
        z : Tensor
            ``[batch, channels, frames]``.
        lengths : Tensor or None
            ``[batch]``, number of frames of each utterance without padding, which the norm over
            time excludes.

        Returns
        -------
        Tensor
            Codes, ``[batch, frames, groups]``.
        """
        batch, _, frames = z.shape
        groups = self.architecture.groups
        convolution, norm = self.projection
        projected = norm(convolution(z), lengths).reshape(batch, groups, -1, frames)
        points = projected.permute(1, 0, 3, 2).reshape(groups, batch * frames, -1)
        # Without a matrix product, whose rounding could select another of two close vectors.
        distances = torch.cdist(
            points, self.codebook(), compute_mode="donot_use_mm_for_euclid_dist"
        )
        return distances.argmin(dim=2).reshape(groups, batch, frames).permute(1, 2, 0)

    def codebook(self) -> Tensor:
        """Return the vectors ``[groups, codes, width]``; groups may share them."""
        codebooks = self.embedding.detach().permute(1, 0, 2)
        return codebooks.expand(self.architecture.groups, -1, -1)


Quantiser = GumbelQuantiser | KmeansQuantiser


def build_quantiser(architecture: QuantiserArchitecture) -> Quantiser:
    """Build a quantiser.

    Parameters
    ----------
    architecture : QuantiserArchitecture
        Hyperparameters.

    Returns
    -------
    GumbelQuantiser or KmeansQuantiser
        The quantiser, with uninitialised codebook.
    """
    return (GumbelQuantiser if architecture.kind == "gumbel" else KmeansQuantiser)(architecture)


def code_vectors(codes: Tensor, codebook: Tensor) -> Tensor:
    """Return the vectors of codes, concatenated over the groups.

    Parameters
    ----------
    codes : Tensor
        ``[batch, frames, groups]``.
    codebook : Tensor
        ``[groups, codes, width]``.

    Returns
    -------
    Tensor
        ``[batch, groups * width, frames]``.
    """
    vectors = [group_codebook[codes[..., group]] for group, group_codebook in enumerate(codebook)]
    return torch.cat(vectors, dim=2).transpose(1, 2)
