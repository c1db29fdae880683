"""Batches of random crops of unlabelled recordings, without padding.

In each epoch, recordings of similar length share a batch, and all are cut to the shortest of them;
longer recordings than a crop are cut into several. What a batch contains depends on the seed and
its number only, so a training that continues reads what it would have read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from emoscale.audio.decoding import read_waveform
from emoscale.audio.waveform import SAMPLE_RATE, Waveform
from emoscale.runtime.errors import AudioError, UserError

_LENGTH_NOISE = 0.1
"""Standard deviation of the noise on lengths that batches are sorted by, relative to the length:
the recordings that share a batch change from epoch to epoch."""


@dataclass(frozen=True)
class SpeechFile:
    """A usable stretch of unlabelled speech."""

    path: Path
    """Audio file."""

    start: float
    """Start in the file, seconds."""

    seconds: float
    """Duration, seconds."""


@dataclass(frozen=True)
class Crop:
    """A part of a recording."""

    path: Path
    """Audio file."""

    start: float
    """Start in the file, seconds."""

    samples: int
    """Number of samples at 16 kHz."""


def plan_batches(
    files: Sequence[SpeechFile], batch_seconds: float, crop_seconds: float, seed: int
) -> Iterator[list[Crop]]:
    """Yield batches of crops, epoch after epoch, without end.

    Parameters
    ----------
    files : sequence of SpeechFile
        The recordings, at least one.
    batch_seconds : float
        Largest sum of the durations in a batch, unless it has one crop only.
    crop_seconds : float
        Longest crop.
    seed : int
        Seed of the order and of the crops.

    Yields
    ------
    list of Crop
        Crops of equal length.
    """
    epoch = 0
    while True:
        yield from _epoch(files, batch_seconds, crop_seconds, np.random.default_rng([seed, epoch]))
        epoch += 1


def _epoch(
    files: Sequence[SpeechFile],
    batch_seconds: float,
    crop_seconds: float,
    generator: np.random.Generator,
) -> Iterator[list[Crop]]:
    seconds = np.array([file.seconds for file in files])
    crops = np.maximum(1, seconds // crop_seconds).astype(int)
    recording = np.repeat(np.arange(len(files)), crops)
    position = np.arange(len(recording)) - np.repeat(np.cumsum(crops) - crops, crops)
    length = np.minimum(seconds, crop_seconds)[recording]
    order = np.argsort(length * (1 + _LENGTH_NOISE * generator.standard_normal(len(recording))))
    batches: list[list[int]] = []
    remaining = 0.0
    for index in order:
        if length[index] > remaining:
            batches.append([])
            remaining = batch_seconds
        batches[-1].append(index)
        remaining -= length[index]
    for batch in generator.permutation(len(batches)):
        members = batches[batch]
        # A sample less, because durations are rounded.
        samples = int(min(length[member] for member in members) * SAMPLE_RATE) - 1
        yield [
            _crop(files[row], int(part), int(crops[row]), samples, generator)
            for row, part in zip(recording[members], position[members], strict=True)
        ]


def _crop(
    file: SpeechFile, number: int, crops: int, samples: int, generator: np.random.Generator
) -> Crop:
    """Crop number `number` of `crops` of a recording, each from another part."""
    slack = max(file.seconds - (samples + 1) / SAMPLE_RATE, 0.0)
    return Crop(file.path, file.start + slack * (number + generator.random()) / crops, samples)


def read_batch(batch: Sequence[Crop]) -> Tensor:
    """Decode the crops of a batch.

    Parameters
    ----------
    batch : sequence of Crop
        Crops of equal length.

    Returns
    -------
    Tensor
        Waveforms ``[crops, samples]`` at 16 kHz.

    Raises
    ------
    UserError
        If a file cannot be read.
    """
    return torch.from_numpy(np.stack([_read_crop(crop) for crop in batch]))


def _read_crop(crop: Crop) -> Waveform:
    end = crop.start + (crop.samples + 1) / SAMPLE_RATE
    try:
        waveform = read_waveform(crop.path, crop.start, end)[: crop.samples]
    except AudioError as error:
        raise UserError(f"{error}; the speech changed since it was read: run again") from None
    return np.pad(waveform, (0, crop.samples - len(waveform)))  # resampling may omit a sample
