"""Augmentation of training batches of packed frames: mixup, time masks and frequency masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from emoscale.models.contract import PackedFrames
from emoscale.models.packed_layout import PackedLayout, send

if TYPE_CHECKING:
    from emoscale.config.training import AugmentationSettings


def augment(
    inputs: Sequence[PackedFrames],
    targets: Tensor,
    settings: AugmentationSettings,
    means: Sequence[Tensor],
    generator: torch.Generator,
) -> tuple[list[PackedFrames], Tensor]:
    """Apply mixup and masks to a batch; nothing is changed in place.

    Parameters
    ----------
    inputs : sequence of PackedFrames
        The batch's utterances, one entry per input of the model.
    targets : Tensor
        Target distributions ``[utterances, classes]``.
    settings : AugmentationSettings
        Which augmentations to apply, and how strongly.
    means : sequence of Tensor
        Replacement of masked values per input: ``[dimension]`` or ``[layers, dimension]``.
    generator : torch.Generator
        Generator on the CPU, so that the random numbers are the same on every device.

    Returns
    -------
    inputs : list of PackedFrames
        The augmented inputs.
    targets : Tensor
        The targets ``[utterances, classes]``, mixed with the same coefficients as the frames.

    References
    ----------
    H. Zhang, M. Cisse, Y. N. Dauphin, D. Lopez-Paz, "mixup: Beyond Empirical Risk Minimization",
    ICLR 2018. D. S. Park et al., "SpecAugment: A Simple Data Augmentation Method for Automatic
    Speech Recognition", Interspeech 2019.
    """
    augmented = list(inputs)
    if settings.mixup > 0.0:
        augmented, targets = _mix_up(augmented, targets, settings.mixup, generator)
    return [
        _mask(batch, mean, settings, generator)
        for batch, mean in zip(augmented, means, strict=True)
    ], targets


def _mix_up(
    inputs: Sequence[PackedFrames], targets: Tensor, alpha: float, generator: torch.Generator
) -> tuple[list[PackedFrames], Tensor]:
    """Mix each utterance with another of the batch, resampled to its length (nearest frame)."""
    count = len(targets)
    partner = torch.randperm(count, generator=generator)
    gamma = torch.full((2, count), alpha, dtype=torch.float64)
    first, second = torch._standard_gamma(gamma, generator=generator)
    beta = first / (first + second).clamp(min=1e-300)
    coefficient = torch.maximum(beta, 1.0 - beta)  # the original has a weight of at least 1/2
    mixed = []
    for batch in inputs:
        ragged = PackedLayout(batch.lengths, torch.device("cpu"))
        starts = ragged.counts.cumsum(0) - ragged.counts
        frame_index = torch.arange(sum(batch.lengths)) - starts[ragged.utterance]
        ratio = ragged.counts[partner] / ragged.counts
        partner_index = ((frame_index + 0.5) * ratio[ragged.utterance]).floor().long()
        partner_index = partner_index.minimum(ragged.counts[partner][ragged.utterance] - 1)
        partner_index += starts[partner][ragged.utterance]
        device = batch.frames.device
        (weight,) = send(device, coefficient[ragged.utterance].float())
        (partner_index,) = send(device, partner_index)
        weight = weight.view(-1, *[1] * (batch.frames.dim() - 1))
        frames = batch.frames.float()
        partner_frames = frames.index_select(0, partner_index)
        mixed.append(replace(batch, frames=torch.lerp(partner_frames, frames, weight)))
    (weight,) = send(targets.device, coefficient.to(targets.dtype))
    (partner,) = send(targets.device, partner)
    return mixed, torch.lerp(targets[partner], targets, weight[:, None])


def _mask(
    batch: PackedFrames, mean: Tensor, settings: AugmentationSettings, generator: torch.Generator
) -> PackedFrames:
    """Replace one span of frames and one band of dimensions of each utterance by the mean."""
    frames = batch.frames
    ragged = PackedLayout(batch.lengths, torch.device("cpu"))
    if settings.time_mask > 0.0:
        starts = ragged.counts.cumsum(0) - ragged.counts
        frame_index = torch.arange(len(frames)) - starts[ragged.utterance]
        start, stop = _random_spans(ragged.counts, settings.time_mask, generator)
        masked = frame_index >= start[ragged.utterance]
        masked &= frame_index < stop[ragged.utterance]
        (masked,) = send(frames.device, masked)
        frames = torch.where(masked.view(-1, *[1] * (frames.dim() - 1)), mean, frames)
    if settings.frequency_mask > 0.0:
        dimension = frames.shape[-1]
        sizes = torch.full((len(batch.lengths),), dimension)
        start, stop = _random_spans(sizes, settings.frequency_mask, generator)
        band = torch.arange(dimension)
        masked = ((band >= start[:, None]) & (band < stop[:, None]))[ragged.utterance]
        (masked,) = send(frames.device, masked)
        frames = torch.where(masked if frames.dim() == 2 else masked[:, None], mean, frames)
    return replace(batch, frames=frames)


def _random_spans(
    sizes: Tensor, maximum_fraction: float, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Return start and stop index (exclusive) of one random span per size; it may be empty."""
    longest = (maximum_fraction * sizes.double()).floor().long()
    lengths = _random_integers_below(longest + 1, generator)
    start = _random_integers_below(sizes - lengths + 1, generator)
    return start, start + lengths


def _random_integers_below(limits: Tensor, generator: torch.Generator) -> Tensor:
    """Draw one integer per limit, uniformly from 0 (inclusive) to the limit (exclusive)."""
    uniform = torch.rand(len(limits), generator=generator, dtype=torch.float64)
    return (uniform * limits).floor().long()
