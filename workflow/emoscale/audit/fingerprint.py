"""Audio fingerprint that is invariant to gain, surrounding silence and sample format.

The fingerprint is the modulation spectrum of each band's compressed energy envelope: its magnitude
at a few modulation frequencies. A time shift changes only phases, and silence adds nothing, so
neither must be detected and removed; normalisation removes the gain. Modulation spectra of band
energies have described speech since Houtgast and Steeneken (1985); the choice of bands and
modulation frequencies is this project's.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from emoscale.audio.waveform import SAMPLE_RATE

_BLOCK_FRAMES = 4096


def frame_blocks(
    waveform: NDArray[np.float32], window_samples: int, hop_samples: int
) -> Iterator[NDArray[np.float32]]:
    """Split a waveform into overlapping frames, in blocks of frames.

    Samples after the last whole frame are left out. A waveform shorter than the window is padded
    with zeros to one frame.

    Parameters
    ----------
    waveform : ndarray
        Waveform ``[samples]``.
    window_samples : int
        Length of a frame in samples.
    hop_samples : int
        Distance between the starts of frames in samples.

    Yields
    ------
    ndarray
        Frames ``[frames, window_samples]``.
    """
    if len(waveform) < window_samples:
        waveform = np.pad(waveform, (0, window_samples - len(waveform)))
    frames = np.lib.stride_tricks.sliding_window_view(waveform, window_samples)[::hop_samples]
    for first in range(0, len(frames), _BLOCK_FRAMES):
        yield frames[first : first + _BLOCK_FRAMES]


LOWEST_HZ, HIGHEST_HZ = 200.0, 4000.0
"""Frequency range: above mains hum, and below the Nyquist frequency of 8 kHz recordings."""

BANDS = 16
WINDOW_SAMPLES = 512  # 32 ms
HOP_SAMPLES = 160  # 10 ms
MODULATION_HZ = 0.5 + 0.75 * np.arange(16)
"""Modulation frequencies up to 11.75 Hz; the syllable rate of speech is about 4 Hz."""

_FLOOR = 1e-4  # relative to the largest band energy; energy below it counts as silence

FINGERPRINT_SIZE = BANDS * len(MODULATION_HZ)
"""Dimension of a fingerprint."""


def fingerprint(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Compute the fingerprint of a recording.

    The similarity of two recordings is the dot product of their fingerprints, from 0 to 1.

    Parameters
    ----------
    waveform : ndarray
        Waveform ``[samples]`` at 16 kHz.

    Returns
    -------
    ndarray
        Fingerprint ``[FINGERPRINT_SIZE]`` of norm 1; zeros if all bands are silent.

    References
    ----------
    .. [1] T. Houtgast and H. J. M. Steeneken, "A review of the MTF concept in room acoustics and
       its use for estimating speech intelligibility in auditoria", JASA 77(3), 1985.
    """
    energies = _band_energies(waveform)
    largest = float(energies.max())
    if largest <= 0.0:
        return np.zeros(FINGERPRINT_SIZE, np.float32)
    envelopes = np.sqrt(np.maximum(energies / largest - _FLOOR, 0.0))
    seconds = np.arange(len(envelopes)) * (HOP_SAMPLES / SAMPLE_RATE)
    exponentials = np.exp(-2j * np.pi * np.outer(MODULATION_HZ, seconds)).astype(np.complex64)
    spectrum = np.abs(exponentials @ envelopes).ravel()
    return np.asarray(spectrum / np.linalg.norm(spectrum), np.float32)


def _band_energies(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Band energies ``[frames, BANDS]``; zero padding covers the first and last samples."""
    padded = np.pad(waveform, (WINDOW_SAMPLES, 2 * WINDOW_SAMPLES))
    blocks = []
    for block in frame_blocks(padded, WINDOW_SAMPLES, HOP_SAMPLES):
        spectrum = np.abs(np.fft.rfft(block * _HANN_WINDOW, axis=1)).astype(np.float32)
        blocks.append(np.square(spectrum) @ _FILTER_BANK)
    return np.concatenate(blocks)


def _filter_bank() -> NDArray[np.float32]:
    """Rectangular bands ``[bins, BANDS]`` of equal width on a logarithmic frequency axis."""
    edges = np.geomspace(LOWEST_HZ, HIGHEST_HZ, BANDS + 1)
    bins = np.fft.rfftfreq(WINDOW_SAMPLES, 1 / SAMPLE_RATE)[:, None]
    return np.asarray((bins >= edges[:-1]) & (bins < edges[1:]), np.float32)


_HANN_WINDOW = np.hanning(WINDOW_SAMPLES).astype(np.float32)
_FILTER_BANK = _filter_bank()
