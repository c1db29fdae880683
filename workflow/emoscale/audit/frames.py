"""Short-time frames of a waveform, block by block, so that long recordings need little memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_BLOCK_FRAMES = 4096


def frame_blocks(
    waveform: NDArray[np.float32], window: int, hop: int
) -> Iterator[NDArray[np.float32]]:
    """Blocks of frames, each [frames, window]; the last samples that fill no frame are left out.

    A waveform shorter than one window gives one frame, filled with zeros.
    """
    if len(waveform) < window:
        waveform = np.pad(waveform, (0, window - len(waveform)))
    every = np.lib.stride_tricks.sliding_window_view(waveform, window)[::hop]
    for first in range(0, len(every), _BLOCK_FRAMES):
        yield every[first : first + _BLOCK_FRAMES]
