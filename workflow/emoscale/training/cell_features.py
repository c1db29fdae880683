"""Features of a cell, and the batches gathered from them, packed without padding."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from emoscale.models.contract import PackedFrames
from emoscale.runtime.errors import ConfigurationError, error_summary
from emoscale.store.features import Features

if TYPE_CHECKING:
    from emoscale.store.index import FeatureStore
    from emoscale.training.normalisation import NormaliseUtterance


class CellFeatures:
    """Frames of all training, development and test utterances of a cell, per input of the model.

    Parameters
    ----------
    utterances : sequence of str
        Keys of the utterances.
    features : sequence of Features
        Features of these utterances, one entry per input of the model, in its order.
    device : torch.device
        Device of the batches.
    normalisations : sequence of callable or None
        Normalisation of each input (`emoscale.training.normalisation`); None: of none.
    resident : bool or None
        See `InputFeatures`.
    """

    def __init__(
        self,
        utterances: Sequence[str],
        features: Sequence[Features],
        device: torch.device,
        normalisations: Sequence[NormaliseUtterance | None] | None = None,
        resident: bool | None = None,
    ) -> None:
        self.index_of = {key: index for index, key in enumerate(utterances)}
        self.device = device
        self.inputs = [
            InputFeatures(each, device, normalise, resident)
            for each, normalise in zip(
                features, normalisations or [None] * len(features), strict=True
            )
        ]

    def indices(self, utterances: Sequence[str]) -> Tensor:
        """Return the indices of utterances.

        Parameters
        ----------
        utterances : sequence of str
            Keys of the utterances.

        Returns
        -------
        Tensor
            Indices ``[utterances]``.
        """
        return torch.tensor([self.index_of[key] for key in utterances], dtype=torch.int64)

    @property
    def resident(self) -> bool:
        """Whether there is an input of which all frames are in the memory of the device."""
        return any(each.resident is not None for each in self.inputs)

    def release(self) -> None:
        """Gather the frames of each batch from the shards from now on; they stay the same."""
        for each in self.inputs:
            each.resident = None
        torch.cuda.empty_cache()  # for other processes too; does nothing if no GPU is in use

    def batch(self, indices: Tensor) -> list[PackedFrames]:
        """Return a batch of utterances, per input of the model.

        Parameters
        ----------
        indices : Tensor
            Indices ``[batch]`` of the utterances.

        Returns
        -------
        list of PackedFrames
            The utterances' frames, one entry per input.
        """
        indices_list = indices.tolist()
        return [each.batch(indices_list) for each in self.inputs]


class InputFeatures:
    """Frames of the cell's utterances in one representation.

    Parameters
    ----------
    features : Features
        The utterances' features.
    device : torch.device
        Device of the batches.
    normalise : callable or None
        Normalisation of an utterance's frames; None: none.
    resident : bool or None
        True: the frames of all utterances are copied to the device, and normalised once. False:
        each batch is gathered from the shards and normalised anew. None: they are copied to a GPU
        if they fill at most half of its free memory.
    """

    def __init__(
        self,
        features: Features,
        device: torch.device,
        normalise: NormaliseUtterance | None = None,
        resident: bool | None = None,
    ) -> None:
        self._normalise = normalise
        self.lengths = [int(length) for length in features.lengths]
        self._features, self._device = features, device
        self._dtype = torch.from_numpy(np.empty(0, features.dtype)).dtype
        self.resident: tuple[Tensor, ...] | None = None
        """Normalised frames of each utterance, if all are in the memory of the device."""
        if resident:
            self.resident = self._copy_to_device()
        elif resident is None and device.type != "cpu" and self._fits():
            try:
                self.resident = self._copy_to_device()
            except torch.OutOfMemoryError as error:  # another process has taken it since
                print(
                    f"the GPU's memory ran out while features were copied ({error_summary(error)});"
                    " they are read from main memory (the results do not change)",
                    file=sys.stderr,
                    flush=True,
                )
        self._seconds: tuple[Tensor, ...] | None = None
        if features.seconds is not None:
            seconds = torch.from_numpy(features.seconds).float().to(device)
            self._seconds = torch.split(seconds, self.lengths)
        self._statistics: dict[tuple[int, ...], tuple[Tensor, Tensor]] = {}

    def batch(self, indices: Sequence[int]) -> PackedFrames:
        """Return a batch of utterances.

        Parameters
        ----------
        indices : sequence of int
            Indices of the utterances.

        Returns
        -------
        PackedFrames
            The utterances' frames, one utterance after the other.
        """
        lengths = [self.lengths[index] for index in indices]
        if self.resident is None:
            frames = self._normalised(indices)
        else:
            frames = torch.cat([self.resident[index] for index in indices])
        seconds = None
        if self._seconds is not None:
            seconds = torch.cat([self._seconds[index] for index in indices])
        return PackedFrames.of(frames, lengths, seconds)

    def statistics(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Compute mean and standard deviation over all frames of some utterances.

        The moments of one utterance after the other are combined by the formula of Chan et al.,
        which does not subtract large squares from each other.

        Parameters
        ----------
        indices : Tensor
            Indices ``[utterances]``.

        Returns
        -------
        mean : Tensor
            Mean ``[dimension]``, or ``[layers, dimension]`` of a representation with layers.
        std : Tensor
            Population standard deviation, of the same shape.

        References
        ----------
        T. F. Chan, G. H. Golub, R. J. LeVeque, "Updating Formulae and a Pairwise Algorithm for
        Computing Sample Variances", Stanford University, STAN-CS-79-773, 1979.
        """
        utterances = tuple(sorted(indices.tolist()))  # repeats and trials often share them
        if utterances not in self._statistics:
            self._statistics[utterances] = self._compute_statistics(utterances)
        return self._statistics[utterances]

    def _compute_statistics(self, utterances: Sequence[int]) -> tuple[Tensor, Tensor]:
        total = 0
        mean = torch.zeros(self._features.frame_shape, dtype=torch.float64, device=self._device)
        squares = torch.zeros_like(mean)
        for index in utterances:
            frames = self.batch([index]).frames
            frames = frames if frames.dtype == torch.float64 else frames.float()
            utterance_mean = frames.sum(dim=0) / len(frames)
            total += len(frames)
            difference = utterance_mean - mean
            mean += difference * (len(frames) / total)
            squares += (frames - utterance_mean).square_().sum(dim=0)
            squares += difference.square() * (len(frames) * (total - len(frames)) / total)
        return mean.float(), (squares / total).sqrt().float()

    def _normalised(self, indices: Sequence[int]) -> Tensor:
        """Gather and normalise utterances."""
        frames = self._gather(indices)
        if self._normalise is None:
            return frames
        lengths = [self.lengths[index] for index in indices]
        utterances = zip(indices, torch.split(frames, lengths), strict=True)
        return torch.cat([self._normalise(index, each) for index, each in utterances])

    def _gather(self, indices: Sequence[int]) -> Tensor:
        """Copy utterances from the shards to the device."""
        shape = (sum(self.lengths[index] for index in indices), *self._features.frame_shape)
        # A GPU copies from pinned memory while the CPU goes on; torch keeps it until that is done.
        frames = torch.empty(shape, dtype=self._dtype, pin_memory=self._device.type == "cuda")
        self._features.gather(indices, frames.numpy())
        return frames.to(self._device, non_blocking=True)

    def _fits(self) -> bool:
        """Return whether all frames fill at most half of the GPU's free memory."""
        values = sum(self.lengths) * math.prod(self._features.frame_shape)
        free, _ = torch.cuda.mem_get_info(self._device)
        return 2 * values * self._resident_dtype.itemsize < free

    def _copy_to_device(self) -> tuple[Tensor, ...]:
        """Return the frames of each utterance on the device, copied one utterance at a time."""
        shape = (sum(self.lengths), *self._features.frame_shape)
        frames = torch.empty(shape, dtype=self._resident_dtype, device=self._device)
        utterances = torch.split(frames, self.lengths)
        for index, utterance in enumerate(utterances):
            utterance.copy_(self._normalised([index]))
        return utterances

    @property
    def _resident_dtype(self) -> torch.dtype:
        return self._dtype if self._normalise is None else torch.float32


def class_indices(labels: Sequence[str], classes: Sequence[str]) -> list[int]:
    """Return the class index of each label.

    Parameters
    ----------
    labels : sequence of str
        Labels of utterances.
    classes : sequence of str
        Names of the classes.

    Returns
    -------
    list of int
        Index of each label in `classes`.
    """
    index_of = {name: index for index, name in enumerate(classes)}
    return list(np.fromiter((index_of[label] for label in labels), dtype=int, count=len(labels)))


def fraction_without_times(features: Features) -> float | None:
    """Return the fraction of tokens whose word has no start or end time.

    Parameters
    ----------
    features : Features
        Features of utterances.

    Returns
    -------
    float or None
        The fraction; None where the features are not those of a text.
    """
    if features.seconds is None:
        return None
    return float(np.isnan(features.seconds).any(axis=1).mean())


def check_word_times(store: FeatureStore, fraction_without: float | None) -> None:
    """Check that attention can be limited to the frames of each word.

    A token without times attends to all frames. If no token had times, the model would
    ignore `within_word`.

    Parameters
    ----------
    store : FeatureStore
        Store of the text representation.
    fraction_without : float or None
        Fraction of its tokens without times; None where it is not a text representation.

    Raises
    ------
    ConfigurationError
        Where no token has times.
    """
    if fraction_without is None or fraction_without == 1.0:
        raise ConfigurationError(
            f"{store.name}: no token has a time, because it is not a text representation or the "
            "corpus has no word alignment, so attention cannot be limited to words; set "
            "within_word to false"
        )
