"""Raw audio as a representation: one 16-bit sample a frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from emoscale.audio.decoding import SAMPLE_RATE
from emoscale.config.representations import WaveformSettings
from emoscale.representations.contract import Waveform

FULL_SCALE = 32_767


class RawWaveform:
    """Frames [samples, 1] of int16; what is beyond full scale is clipped."""

    modality: Literal["audio", "text"] = "audio"
    dimension = 1
    frame_rate: float | None = float(SAMPLE_RATE)
    dtype = "int16"

    def __init__(self, settings: WaveformSettings) -> None:
        del settings  # there is nothing to choose

    def extract(self, batch: Sequence[Waveform]) -> list[NDArray[np.generic]]:
        """Samples [T_i, 1] of each waveform."""
        return [
            np.clip(np.rint(waveform * FULL_SCALE), -FULL_SCALE, FULL_SCALE)
            .astype(np.int16)
            .reshape(-1, 1)
            for waveform in batch
        ]
