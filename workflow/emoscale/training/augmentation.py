"""Changes of a batch of training utterances: mixup and masks, on packed frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from emoscale.config.training import AugmentationSettings
from emoscale.models.contract import PackedFrames
from emoscale.models.layers import Segments


def augmented(
    inputs: Sequence[PackedFrames],
    targets: Tensor,
    settings: AugmentationSettings,
    means: Sequence[Tensor],
    generator: torch.Generator,
) -> tuple[list[PackedFrames], Tensor]:
    """A batch's inputs, and its targets [utterances, classes], changed as the settings say.

    `means` ([dimension] or [layers, dimension]) are what masked values become, of each input;
    `generator` is on the CPU, so that every device changes the same.
    """
    batch = list(inputs)
    if settings.mixup > 0.0:
        batch, targets = _mixed(batch, targets, settings.mixup, generator)
    return [
        _masked(each, mean, settings, generator) for each, mean in zip(batch, means, strict=True)
    ], targets


def _mixed(
    inputs: Sequence[PackedFrames], targets: Tensor, parameter: float, generator: torch.Generator
) -> tuple[list[PackedFrames], Tensor]:
    """Each utterance with another one of the batch, which is stretched to its length."""
    count = len(targets)
    partner = torch.randperm(count, generator=generator)
    gamma = torch.full((2, count), parameter, dtype=torch.float64)
    one, other = torch._standard_gamma(gamma, generator=generator)
    beta = one / (one + other).clamp(min=1e-300)
    share = torch.maximum(beta, 1.0 - beta)  # an utterance stays the larger part of itself
    mixed = []
    for given in inputs:
        own = Segments(given.lengths, torch.device("cpu"))
        starts = own.counts.cumsum(0) - own.counts
        index = torch.arange(sum(given.lengths)) - starts[own.utterance]
        ratio = own.counts[partner] / own.counts
        theirs = ((index + 0.5) * ratio[own.utterance]).floor().long()
        theirs = theirs.minimum(own.counts[partner][own.utterance] - 1)
        theirs += starts[partner][own.utterance]
        weight = share[own.utterance].float().to(given.frames.device)
        weight = weight.view(-1, *[1] * (given.frames.dim() - 1))
        frames = given.frames.float()
        stretched = frames.index_select(0, theirs.to(frames.device))
        mixed.append(replace(given, frames=torch.lerp(stretched, frames, weight)))
    weight = share.to(targets)[:, None]
    return mixed, torch.lerp(targets[partner.to(targets.device)], targets, weight)


def _masked(
    given: PackedFrames, mean: Tensor, settings: AugmentationSettings, generator: torch.Generator
) -> PackedFrames:
    """One stretch of frames, and one band of dimensions, of each utterance become the mean."""
    frames = given.frames
    own = Segments(given.lengths, torch.device("cpu"))
    if settings.time_mask > 0.0:
        starts = own.counts.cumsum(0) - own.counts
        index = torch.arange(len(frames)) - starts[own.utterance]
        first, last = _stretches(own.counts, settings.time_mask, generator)
        lost = (index >= first[own.utterance]) & (index < last[own.utterance])
        lost = lost.to(frames.device).view(-1, *[1] * (frames.dim() - 1))
        frames = torch.where(lost, mean, frames)
    if settings.frequency_mask > 0.0:
        dimension = frames.shape[-1]
        sizes = torch.full((len(given.lengths),), dimension)
        first, last = _stretches(sizes, settings.frequency_mask, generator)
        band = torch.arange(dimension)
        lost = ((band >= first[:, None]) & (band < last[:, None]))[own.utterance]
        lost = lost.to(frames.device)
        frames = torch.where(lost if frames.dim() == 2 else lost[:, None], mean, frames)
    return replace(given, frames=frames)


def _stretches(sizes: Tensor, share: float, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """First index, and the one after the last, of a stretch within each size; it may be empty."""
    longest = (share * sizes.double()).floor().long()
    lengths = _drawn_below(longest + 1, generator)
    first = _drawn_below(sizes - lengths + 1, generator)
    return first, first + lengths


def _drawn_below(limits: Tensor, generator: torch.Generator) -> Tensor:
    """A whole number from 0 below each limit."""
    drawn = torch.rand(len(limits), generator=generator, dtype=torch.float64)
    return (drawn * limits).floor().long()
