"""Features of a cell in memory, packed without padding, and the batches made from them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from emoscale.models.contract import PackedFrames
from emoscale.runtime.errors import ConfigurationError
from emoscale.store.index import Features, FeatureStore
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
    """

    def __init__(
        self,
        utterances: Sequence[str],
        features: Sequence[Features],
        device: torch.device,
        normalisations: Sequence[NormaliseUtterance | None] | None = None,
    ) -> None:
        self.index_of = {key: index for index, key in enumerate(utterances)}
        self.device = device
        self.inputs = [
            InputFeatures(each, device, normalise)
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
        Device of the batches. The frames themselves stay where they are if they are memory-mapped
        or would fill more than half of a GPU's free memory.
    normalise : callable or None
        Normalisation of an utterance's frames, computed anew for each batch; None: none.
    """

    def __init__(
        self, features: Features, device: torch.device, normalise: NormaliseUtterance | None = None
    ) -> None:
        self._normalise = normalise
        self.lengths = [int(length) for length in features.lengths]
        self._device = device
        frames = torch.from_numpy(features.frames)
        if not isinstance(features.frames, np.memmap) and _fits_on(device, frames):
            frames = frames.to(device)
        self._utterances = torch.split(frames, self.lengths)
        self._seconds: tuple[Tensor, ...] | None = None
        if features.seconds is not None:
            seconds = torch.from_numpy(features.seconds).float().to(device)
            self._seconds = torch.split(seconds, self.lengths)
        self._moments: dict[int, tuple[Tensor, Tensor]] = {}

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
        frames = torch.cat([self._frames(index) for index in indices]).to(self._device)
        seconds = None
        if self._seconds is not None:
            seconds = torch.cat([self._seconds[index] for index in indices])
        return PackedFrames(frames, [self.lengths[index] for index in indices], seconds)

    def statistics(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Compute mean and standard deviation over all frames of some utterances.

        The moments of each utterance are computed once and combined by the pairwise formula of
        Chan et al., which does not subtract large squares from each other.

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
        moments = [self._utterance_moments(index) for index in indices.tolist()]
        means = torch.stack([mean for mean, _ in moments]).double()
        lengths = [self.lengths[index] for index in indices.tolist()]
        counts = means.new_tensor(lengths).reshape(-1, *[1] * (means.dim() - 1))
        mean = (counts * means).sum(dim=0) / counts.sum()
        within = torch.stack([squares for _, squares in moments]).double().sum(dim=0)
        between = (counts * (means - mean) ** 2).sum(dim=0)
        std = ((within + between) / counts.sum()).sqrt()
        return mean.float(), std.float()

    def _frames(self, index: int) -> Tensor:
        """Return an utterance's frames; normalised ones are on the device of the batches."""
        frames = self._utterances[index]
        return (
            frames if self._normalise is None else self._normalise(index, frames.to(self._device))
        )

    def _utterance_moments(self, index: int) -> tuple[Tensor, Tensor]:
        """Return mean and sum of squared deviations of an utterance's frames, cached.

        Both are zero for an utterance without frames.
        """
        if index not in self._moments:
            frames = self._frames(index).to(self._device)
            frames = frames if frames.dtype == torch.float64 else frames.float()
            mean = frames.sum(dim=0) / max(1, len(frames))
            self._moments[index] = (mean, (frames - mean).square_().sum(dim=0))
        return self._moments[index]


def _fits_on(device: torch.device, frames: Tensor) -> bool:
    """Return whether the frames fill at most half of a GPU's free memory; True for a CPU."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return 2 * frames.nbytes < free


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
