"""What every representation promises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

Waveform = NDArray[np.float32]
"""[samples] at 16 kHz, full scale 1."""


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

    # Where there are any: `checkpoint_sha256` (str), of pre-trained weights; `codebook` (float32
    # [groups, codes, width]), and `extract` then gives codes [T_i, groups], which are stored, and
    # read as vectors of `dimension` = groups * width values.

    def extract(self, batch: Sequence[Waveform]) -> list[NDArray[np.generic]]:
        """Frames [T_i, dimension] of each utterance, in the batch's order."""
        ...
