"""Normalisation of features by the statistics of their speaker, or of their own utterance."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from emoscale.config.training import Normalisation
from emoscale.models.layers import inverse_deviation
from emoscale.runtime.errors import ConfigurationError, UserError
from emoscale.store.index import FeatureStore
from emoscale.store.speaker_statistics import SpeakerStatistics, read_speaker_statistics

NormaliseUtterance = Callable[[int, Tensor], Tensor]
"""Takes the index of an utterance and its frames, and returns normalised frames."""


def input_normalisations(
    kind: Normalisation,
    stores: Sequence[FeatureStore],
    utterances: Sequence[str],
    device: torch.device,
) -> list[NormaliseUtterance | None]:
    """Return the normalisation of each input of a model.

    Parameters
    ----------
    kind : {"training", "speaker", "utterance"}
        Whose statistics the features are normalised by, before the model standardises them by
        those of the training subset.
    stores : sequence of FeatureStore
        Features of each input; by speaker, next to the table of their speakers' statistics.
    utterances : sequence of str
        Keys of the utterances, in the order of their indices.
    device : torch.device
        Device of the frames.

    Returns
    -------
    list of callable or None
        One entry per input; None: only the model standardises.

    Raises
    ------
    StoreError
        If the table of speakers' statistics is missing, damaged or of other features.
    UserError
        If a speaker has only one frame.
    """
    if kind == "speaker":
        return [
            SpeakerNormalisation(read_speaker_statistics(store), utterances, device)
            for store in stores
        ]
    return [normalise_utterance if kind == "utterance" else None] * len(stores)


class SpeakerNormalisation:
    """Normalises the frames of an utterance by mean and standard deviation of its speaker.

    Parameters
    ----------
    statistics : SpeakerStatistics
        Statistics of the speakers.
    utterances : sequence of str
        Keys of the utterances, in the order of their indices.
    device : torch.device
        Device of the frames.

    Raises
    ------
    UserError
        If the speaker of an utterance has only one frame.
    """

    def __init__(
        self, statistics: SpeakerStatistics, utterances: Sequence[str], device: torch.device
    ) -> None:
        number_of = {
            key: number
            for number, keys in enumerate(statistics.utterances.values())
            for key in keys
        }
        self._speakers = [number_of[key] for key in utterances]
        names = list(statistics.utterances)
        for number in sorted(set(self._speakers)):
            if statistics.frames[number] < 2:
                raise UserError(
                    f"the speaker {names[number]} has one vector of features only, which cannot be "
                    "normalised by its speaker; add recordings of this speaker, or use "
                    "training.normalisation: training"
                )
        mean, std = torch.from_numpy(statistics.mean), torch.from_numpy(statistics.std)
        self._mean = mean.float().to(device)
        self._scale = inverse_deviation(mean, std).float().to(device)

    def __call__(self, index: int, frames: Tensor) -> Tensor:
        """Return the normalised frames [frames, (layers,) dim] of the utterance of an index."""
        speaker = self._speakers[index]
        return (frames - self._mean[speaker]).mul_(self._scale[speaker])


def normalise_utterance(index: int, frames: Tensor) -> Tensor:
    """Normalise the frames of an utterance by their own mean and standard deviation.

    Parameters
    ----------
    index : int
        Index of the utterance; not used.
    frames : Tensor
        Frames ``[frames, (layers,) dim]``.

    Returns
    -------
    Tensor
        Normalised frames, of the same shape.
    """
    frames = frames if frames.dtype == torch.float64 else frames.float()
    mean = frames.mean(dim=0)
    centred = frames - mean
    return centred.mul_(inverse_deviation(mean, centred.square().mean(dim=0).sqrt()))


def check_several_frames(kind: Normalisation, stores: Sequence[FeatureStore]) -> None:
    """Check that utterances have statistics of their own, if they are normalised by these.

    Parameters
    ----------
    kind : {"training", "speaker", "utterance"}
        Whose statistics the features are normalised by.
    stores : sequence of FeatureStore
        Features of each input of the model.

    Raises
    ------
    ConfigurationError
        If a representation has one vector per utterance.
    """
    for store in stores:
        if kind == "utterance" and store.max_frames < 2:
            raise ConfigurationError(
                f"{store.name} is one vector per utterance, which has no statistics of its own; "
                "set training.normalisation to speaker or training"
            )
