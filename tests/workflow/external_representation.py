"""A representation defined outside the project."""

from __future__ import annotations

from typing import Any

import numpy as np


class MeanAmplitude:
    """The mean absolute sample value: one value per utterance."""

    modality, dimension, frame_rate, dtype = "audio", 1, None, np.dtype(np.float32)

    def __init__(self, scale: float = 1.0) -> None:
        self._scale = scale

    def extract(self, batch: list[Any]) -> list[Any]:
        """Return an array [1, 1] for each waveform [samples]."""
        return [np.full((1, 1), self._scale * np.abs(waveform).mean()) for waveform in batch]
