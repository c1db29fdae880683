"""What every representation promises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from emoscale.audio.decoding import Waveform as Waveform


@dataclass(frozen=True)
class Extracted:
    """What is stored of one utterance, where its frames alone do not say all."""

    frames: NDArray[Any]
    """[T, dimension]; of a layered representation [layers, T, dimension]."""

    characters: NDArray[np.int32] | None = None
    """Text: [T, 2], first character of each token in the transcript and the one after its last; a
    special token, which stands for no character, has 0 and 0."""

    chunks: int = 1
    """Parts that a long utterance was computed in, each without sight of the others."""

    seconds: NDArray[np.float64] | None = None
    """Text: [T, 2], start and end of each token in the utterance, not a number where unknown.
    Extraction fills it in from the corpus's alignment of words."""


@runtime_checkable
class Representation(Protocol):
    """Turns utterances into frames.

    What an utterance gets does not depend on what else is in its batch.
    """

    modality: Literal["audio", "text"]
    """What `extract` is given: waveforms, or transcripts."""

    dimension: int
    """Values a frame."""

    frame_rate: float | None
    """Frames a second; None where frames are not equally spaced (text)."""

    dtype: str
    """numpy name of what is stored: float16 unless more is needed."""

    # Where there are any, these too:
    # `checkpoint_sha256` (str): digest of pre-trained weights.
    # `layers` (tuple of int): numbers of the hidden states in `frames` [layers, T, dimension].
    # `codebook` (float32 [groups, codes, width]): `extract` then gives codes [T, groups], which are
    #     stored, and read as vectors of `dimension` = groups * width values.
    # `batch_seconds` (float): `extract` is given utterances of similar length, as many as have this
    #     many seconds together when each counts as the longest; without it, one at a time.
    # `to(device)`: called once, with "cpu" or "cuda", before `extract`.

    def extract(self, batch: Sequence[Any]) -> Sequence[Any]:
        """An array [T_i, dimension] (or `Extracted`) of each utterance, in the batch's order."""
        ...
