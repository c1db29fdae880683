"""The interface of every representation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from emoscale.audio.waveform import Waveform as Waveform


@dataclass(frozen=True)
class UtteranceFeatures:
    """The features of one utterance, with optional data about its tokens and chunks."""

    frames: NDArray[Any]
    """``[frames, dimension]``, or ``[layers, frames, dimension]`` with several layers."""

    characters: NDArray[np.int32] | None = None
    """Text only: ``[frames, 2]``, first character of each token in the transcript and the one after
    its last. A special token, which corresponds to no character, has 0 and 0."""

    chunks: int = 1
    """Number of chunks in which the utterance was computed; more than 1 if it is too long for the
    network."""

    seconds: NDArray[np.float64] | None = None
    """Text only: ``[frames, 2]``, start and end of each token in the utterance, NaN if unknown.
    Extraction computes it from the corpus's word alignment."""


@runtime_checkable
class Representation(Protocol):
    """Computes the features of utterances.

    The features of an utterance must not depend on the other utterances of its batch.
    """

    modality: Literal["audio", "text"]
    """Input of `extract`: waveforms or transcripts."""

    dimension: int
    """Number of values per frame."""

    frame_rate: float | None
    """Frames per second; None if frames are not equally spaced (text)."""

    dtype: str
    """numpy name of the stored type: float16 unless more range or precision is needed."""

    # Optional attributes and methods:
    # `checkpoint_sha256` (str): digest of the pre-trained weights.
    # `layers` (tuple of int): indices of the hidden states in `frames` [layers, frames, dimension].
    # `codebook` (float32 [groups, codes, width]): `extract` then returns codes [frames, groups],
    #     which are stored, and read as vectors of `dimension` = groups * width values.
    # `batch_seconds` (float): limit of a batch, (number of utterances) * (longest utterance in
    #     seconds); utterances of a batch have similar lengths. Default: one utterance per batch.
    # `to(device)`: called once, with "cpu" or "cuda" (torch's current GPU), before `extract`.

    def extract(self, batch: Sequence[Any]) -> Sequence[Any]:
        """Compute the features of each utterance.

        Parameters
        ----------
        batch : sequence of ndarray or sequence of str
            Waveforms ``[samples]`` at 16 kHz, or transcripts, according to `modality`.

        Returns
        -------
        sequence of ndarray or sequence of UtteranceFeatures
            ``[frames, dimension]`` of each utterance, in the order of the batch.
        """
        ...
