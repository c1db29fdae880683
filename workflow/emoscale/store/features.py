"""Features of utterances as they are read: views of shards, until they are gathered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class UtteranceFrames:
    """Frames of one utterance as they are stored: views, usually of a memory map of a shard."""

    layers: Sequence[NDArray[np.generic]]
    """Per layer ``[frames, dimension]``, or codes ``[frames, groups]``; one array if there are no
    layers."""

    codebook: NDArray[np.float16] | None = None
    """``[groups, codes, width]`` if the frames are codes."""

    def copy_to(self, target: NDArray[np.generic]) -> None:
        """Copy the frames, or the vectors of their codes.

        Parameters
        ----------
        target : ndarray
            ``[frames, dimension]`` or ``[frames, layers, dimension]``.
        """
        if self.codebook is not None:
            (codes,), width = self.layers, self.codebook.shape[2]
            for group, vectors in enumerate(self.codebook):
                target[:, group * width : (group + 1) * width] = vectors[codes[:, group]]
        elif target.ndim == 2:
            target[...] = self.layers[0]
        else:
            for number, frames in enumerate(self.layers):
                target[:, number] = frames


@dataclass(frozen=True)
class Features:
    """Features of several utterances, which stay in their shards until they are gathered."""

    utterances: Sequence[UtteranceFrames]
    """Frames of each utterance."""

    lengths: NDArray[np.int64]
    """``[utterances]``, number of frames of each."""

    frame_shape: tuple[int, ...]
    """``(dimension,)``, or ``(layers, dimension)`` if several layers are read."""

    characters: NDArray[np.int32] | None = None
    """Text only: ``[total_frames, 2]``, character span of each token in its transcript."""

    seconds: NDArray[np.float64] | None = None
    """Text only: ``[total_frames, 2]``, start and end of each token; NaN if unknown."""

    @classmethod
    def packed(
        cls,
        frames: NDArray[np.generic],
        lengths: NDArray[np.int64],
        characters: NDArray[np.int32] | None = None,
        seconds: NDArray[np.float64] | None = None,
    ) -> Features:
        """Return features whose frames are in memory.

        Parameters
        ----------
        frames : ndarray
            ``[total_frames, dimension]`` or ``[total_frames, layers, dimension]``, utterance after
            utterance.
        lengths : ndarray
            ``[utterances]``, number of frames of each.
        characters : ndarray or None
            Text only: ``[total_frames, 2]``, character span of each token.
        seconds : ndarray or None
            Text only: ``[total_frames, 2]``, start and end of each token.

        Returns
        -------
        Features
            Views of `frames`.
        """
        layers = [frames] if frames.ndim == 2 else list(frames.swapaxes(0, 1))
        ends = np.cumsum(lengths)
        utterances = [
            UtteranceFrames([layer[end - length : end] for layer in layers])
            for length, end in zip(lengths, ends, strict=True)
        ]
        return cls(utterances, lengths, frames.shape[1:], characters, seconds)

    def in_memory(self) -> Features:
        """Return the features with copied frames, so that their shards can be removed."""
        frames = self.gather(range(len(self.lengths)))
        return Features.packed(frames, self.lengths, self.characters, self.seconds)

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """Type of the gathered frames; that of vectors of codes is float16."""
        if not self.utterances or self.utterances[0].codebook is not None:
            return np.dtype(np.float16)
        return self.utterances[0].layers[0].dtype

    def gather(
        self, indices: Sequence[int], target: NDArray[np.generic] | None = None
    ) -> NDArray[np.generic]:
        """Copy the frames of some utterances from the shards, without padding.

        Parameters
        ----------
        indices : sequence of int
            Indices of the utterances.
        target : ndarray or None
            Array of the result; None: a new one.

        Returns
        -------
        ndarray
            ``[total_frames, dimension]`` or ``[total_frames, layers, dimension]``, utterance after
            utterance.
        """
        if target is None:
            total = int(self.lengths[list(indices)].sum())
            target = np.empty((total, *self.frame_shape), self.dtype)
        start = 0
        for index in indices:
            stop = start + int(self.lengths[index])
            self.utterances[index].copy_to(target[start:stop])
            start = stop
        return target
