"""The features of a cell in memory, packed without padding, and the batches made of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from emoscale.models.contract import PackedFrames
from emoscale.runtime.errors import ConfigurationError
from emoscale.store.index import Features, FeatureStore


class CellFeatures:
    """Frames of all utterances that a cell trains, chooses and is tested on.

    Of each input (representation) that the model reads, in the model's order.
    """

    def __init__(
        self, utterances: Sequence[str], features: Sequence[Features], device: torch.device
    ) -> None:
        self.index_of = {key: index for index, key in enumerate(utterances)}
        self.device = device
        self.inputs = [Input(each, device) for each in features]

    def indices(self, utterances: Sequence[str]) -> Tensor:
        """[utterances] indices of the given keys."""
        return torch.tensor([self.index_of[key] for key in utterances], dtype=torch.int64)

    def batch(self, indices: Tensor) -> list[PackedFrames]:
        """The utterances at these indices, packed, of each input."""
        chosen = indices.tolist()
        return [each.batch(chosen) for each in self.inputs]


class Input:
    """One representation of the cell's utterances."""

    def __init__(self, features: Features, device: torch.device) -> None:
        self.lengths = [int(length) for length in features.lengths]
        self._device = device
        frames = torch.from_numpy(features.frames)
        if not isinstance(features.frames, np.memmap) and _fits(frames, device):
            frames = frames.to(device)
        self._utterances = torch.split(frames, self.lengths)
        self._seconds: tuple[Tensor, ...] | None = None
        if features.seconds is not None:
            seconds = torch.from_numpy(features.seconds).float().to(device)
            self._seconds = torch.split(seconds, self.lengths)
        self._moments: dict[int, tuple[Tensor, Tensor]] = {}

    def batch(self, indices: Sequence[int]) -> PackedFrames:
        """The utterances at these indices, packed."""
        frames = torch.cat([self._utterances[index] for index in indices]).to(self._device)
        seconds = None
        if self._seconds is not None:
            seconds = torch.cat([self._seconds[index] for index in indices])
        return PackedFrames(frames, [self.lengths[index] for index in indices], seconds)

    def statistics(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation over all frames of these utterances.

        [dimension], or [layers, dimension] of a layered representation. Utterances' own moments are
        put together as Chan, Golub and LeVeque do ("Updating Formulae and a Pairwise Algorithm for
        Computing Sample Variances", 1979): no large squares are subtracted from each other.
        """
        moments = [self._moments_of(index) for index in indices.tolist()]
        means = torch.stack([mean for mean, _ in moments]).double()
        lengths = [self.lengths[index] for index in indices.tolist()]
        counts = means.new_tensor(lengths).reshape(-1, *[1] * (means.dim() - 1))
        mean = (counts * means).sum(dim=0) / counts.sum()
        within = torch.stack([squares for _, squares in moments]).double().sum(dim=0)
        between = (counts * (means - mean) ** 2).sum(dim=0)
        deviation = ((within + between) / counts.sum()).sqrt()
        return mean.float(), deviation.float()

    def _moments_of(self, index: int) -> tuple[Tensor, Tensor]:
        """Mean of an utterance's frames, and the sum of squares around it; kept for other repeats.

        An utterance without frames has zeros.
        """
        if index not in self._moments:
            frames = self._utterances[index].to(self._device)
            frames = frames if frames.dtype == torch.float64 else frames.float()
            mean = frames.sum(dim=0) / max(1, len(frames))
            self._moments[index] = (mean, (frames - mean).square_().sum(dim=0))
        return self._moments[index]


def _fits(frames: Tensor, device: torch.device) -> bool:
    """Whether a GPU holds the frames and still has as much memory left."""
    if device.type != "cuda":
        return True
    free, _ = torch.cuda.mem_get_info(device)
    return 2 * frames.nbytes < free


def label_numbers(labels: Sequence[str], classes: Sequence[str]) -> list[int]:
    """UserPath of each label in `classes`."""
    number = {name: index for index, name in enumerate(classes)}
    return list(np.fromiter((number[label] for label in labels), dtype=int, count=len(labels)))


def share_without_times(features: Features) -> float | None:
    """Of the tokens, those whose word has no time; None for what is no text."""
    if features.seconds is None:
        return None
    return float(np.isnan(features.seconds).any(axis=1).mean())


def check_times(store: FeatureStore, share: float | None) -> None:
    """Raises `ConfigurationError` where attention cannot be confined to words, for want of times.

    Tokens without a time see all frames; where all do, the model would be another than it says.
    """
    if share is None or share == 1.0:
        raise ConfigurationError(
            f"{store.name}: no token has a time, since it is no text or the corpus has no word "
            "alignment, so attention cannot be confined to words; set confined to false"
        )
