"""vq-wav2vec's quantisers (Baevski et al. 2020): each frame becomes one code a group.

Modules are named so that fairseq's state dicts load as they are. Only what is needed to read codes
is here: no sampling, no losses.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from emoscale.representations.wav2vec_model import ArchitectureError, GroupNorm, activation_named

_WIDENING = 2  # of the hidden layers that project z to logits, as in fairseq


@dataclass(frozen=True)
class QuantiserArchitecture:
    """What decides the codes, as a checkpoint states it."""

    kind: str
    dimension: int
    vector_dimension: int
    groups: int
    codes: int
    depth: int
    shared: bool
    activation: str

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any], dimension: int) -> QuantiserArchitecture:
        """From a checkpoint's `args`, for z of `dimension`; raises `ArchitectureError`."""
        kind = arguments.get("vq_type", "none")
        if kind not in ("gumbel", "kmeans"):
            raise ArchitectureError(f"it has no quantiser that is known (vq_type {kind})")
        vector_dimension = int(arguments.get("vq_dim", 0)) or dimension
        groups = int(arguments.get("vq_groups", 2))
        if vector_dimension % groups:
            raise ArchitectureError(f"{groups} groups do not divide {vector_dimension} values")
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
    """A group's code is the largest of its logits, a projection of z."""

    def __init__(self, architecture: QuantiserArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        width = architecture.vector_dimension // architecture.groups
        books = 1 if architecture.shared else architecture.groups
        self.vars = nn.Parameter(torch.empty(1, books * architecture.codes, width))
        logits = architecture.groups * architecture.codes
        if architecture.depth == 1:
            self.weight_proj: nn.Module = nn.Linear(architecture.dimension, logits)
            return
        inner = architecture.dimension * _WIDENING
        entering = [architecture.dimension] + [inner] * (architecture.depth - 2)
        hidden = [
            nn.Sequential(nn.Linear(size, inner), activation_named(architecture.activation))
            for size in entering
        ]
        self.weight_proj = nn.Sequential(*hidden, nn.Linear(inner, logits))

    def forward(self, z: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Codes [batch, frames, groups] of z [batch, channels, frames], each frame by itself."""
        logits = self.weight_proj(z.transpose(1, 2))
        grouped = logits.unflatten(2, (self.architecture.groups, self.architecture.codes))
        codes: Tensor = grouped.argmax(dim=3)
        return codes

    def codebook(self) -> Tensor:
        """[groups, codes, width] vectors; shared by the groups where the checkpoint says so."""
        width = self.vars.shape[2]
        books = self.vars.detach().reshape(-1, self.architecture.codes, width)
        return books.expand(self.architecture.groups, -1, -1)


class KmeansQuantiser(nn.Module):
    """A group's code is the nearest of its vectors to a normalised projection of z."""

    def __init__(self, architecture: QuantiserArchitecture) -> None:
        super().__init__()
        self.architecture = architecture
        width = architecture.vector_dimension // architecture.groups
        books = 1 if architecture.shared else architecture.groups
        self.embedding = nn.Parameter(torch.empty(architecture.codes, books, width))
        size = architecture.dimension
        self.projection = nn.Sequential(
            nn.Conv1d(size, size, 1, groups=architecture.groups, bias=False),
            GroupNorm(size, affine=True, groups=architecture.groups),
        )

    def forward(self, z: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Codes [batch, frames, groups] of z [batch, channels, frames].

        With `lengths` [batch], only so many frames of each utterance count in the norm over time.
        """
        batch, _, frames = z.shape
        groups = self.architecture.groups
        convolution, norm = self.projection
        projected = norm(convolution(z), lengths).reshape(batch, groups, -1, frames)
        points = projected.permute(1, 0, 3, 2).reshape(groups, batch * frames, -1)
        # Not by a matrix product, whose rounding may choose another of two near vectors.
        distances = torch.cdist(
            points, self.codebook(), compute_mode="donot_use_mm_for_euclid_dist"
        )
        return distances.argmin(dim=2).reshape(groups, batch, frames).permute(1, 2, 0)

    def codebook(self) -> Tensor:
        """[groups, codes, width] vectors; shared by the groups where the checkpoint says so."""
        books = self.embedding.detach().permute(1, 0, 2)
        return books.expand(self.architecture.groups, -1, -1)


Quantiser = GumbelQuantiser | KmeansQuantiser


def build_quantiser(architecture: QuantiserArchitecture) -> Quantiser:
    """The quantiser that a checkpoint states."""
    return (GumbelQuantiser if architecture.kind == "gumbel" else KmeansQuantiser)(architecture)


def look_up(codes: Tensor, codebook: Tensor) -> Tensor:
    """Vectors [batch, groups * width, frames] of codes [batch, frames, groups]."""
    vectors = [book[codes[..., group]] for group, book in enumerate(codebook)]
    return torch.cat(vectors, dim=2).transpose(1, 2)
