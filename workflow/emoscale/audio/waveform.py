"""Type and sample rate of the waveforms that every representation is computed from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emoscale import SAMPLE_RATE as SAMPLE_RATE

Waveform = NDArray[np.float32]
"""Waveform ``[samples]`` at 16 kHz, full scale 1."""
