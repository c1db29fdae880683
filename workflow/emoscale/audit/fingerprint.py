"""A fingerprint of a recording that gain, silence around it and other sample formats leave alone.

Each band's energy over time is compressed, and of its course only the magnitude of the spectrum is
kept, at a few modulation frequencies. A shift changes phases only, and silence adds nothing, so
neither needs to be found and cut off; the norm takes the gain away. Modulation spectra of band
energies describe speech since Houtgast and Steeneken (1985); the choice of bands and frequencies
is this project's.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from emoscale.audio.decoding import SAMPLE_RATE

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


LOWEST_HZ, HIGHEST_HZ = 200.0, 4000.0
"""Speech without mains hum, and what is left of it at a sample rate of 8 kHz."""

BANDS = 16
WINDOW_SAMPLES = 512  # 32 ms
HOP_SAMPLES = 160  # 10 ms
MODULATION_HZ = 0.5 + 0.75 * np.arange(16)
"""Up to 11.75 Hz: syllables have about 4 a second."""

_FLOOR = 1e-4  # of the loudest band and frame: what lies below is noise and counts as silence

SIZE = BANDS * len(MODULATION_HZ)
"""Numbers in a fingerprint."""


def fingerprint(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """[SIZE] of norm 1, from [samples] at 16 kHz; zeros where the bands hold nothing.

    The similarity of two recordings is the dot product of their fingerprints, 0 to 1.
    """
    energies = _band_energies(waveform)
    loudest = float(energies.max())
    if loudest <= 0.0:
        return np.zeros(SIZE, np.float32)
    course = np.sqrt(np.maximum(energies / loudest - _FLOOR, 0.0))
    seconds = np.arange(len(course)) * (HOP_SAMPLES / SAMPLE_RATE)
    turns = np.exp(-2j * np.pi * np.outer(MODULATION_HZ, seconds)).astype(np.complex64)
    spectrum = np.abs(turns @ course).ravel()
    return np.asarray(spectrum / np.linalg.norm(spectrum), np.float32)


def _band_energies(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """[frames, BANDS]; zeros at both ends, so that no sample depends on how frames fall."""
    padded = np.pad(waveform, (WINDOW_SAMPLES, 2 * WINDOW_SAMPLES))
    blocks = []
    for block in frame_blocks(padded, WINDOW_SAMPLES, HOP_SAMPLES):
        spectrum = np.abs(np.fft.rfft(block * _TAPER, axis=1)).astype(np.float32)
        blocks.append(np.square(spectrum) @ _BAND_OF_BIN)
    return np.concatenate(blocks)


def _band_of_bin() -> NDArray[np.float32]:
    """[bins, BANDS], 1 where a bin is in a band; the bands are equally wide on a log axis."""
    edges = np.geomspace(LOWEST_HZ, HIGHEST_HZ, BANDS + 1)
    bins = np.fft.rfftfreq(WINDOW_SAMPLES, 1 / SAMPLE_RATE)[:, None]
    return np.asarray((bins >= edges[:-1]) & (bins < edges[1:]), np.float32)


_TAPER = np.hanning(WINDOW_SAMPLES).astype(np.float32)
_BAND_OF_BIN = _band_of_bin()
