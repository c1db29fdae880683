"""How loud the speech in a recording is, its pauses left out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from emoscale.audio.decoding import SAMPLE_RATE, Waveform

_TIME_CONSTANT_SECONDS = 0.03
_HANGOVER_SECONDS = 0.2
_MARGIN_DB = 15.9
_THRESHOLDS = 20


def active_level(waveform: Waveform) -> float:
    """Active speech level of [samples] at 16 kHz: root mean square while there is speech.

    Method B of ITU-T P.56 (12/2011): the envelope is smoothed twice with 30 ms, and speech is what
    is above a threshold, and 200 ms after it, for the threshold that lies 15.9 dB below the level
    so found. The thresholds are 6 dB apart downwards from the envelope's peak, so that the level
    of a recording twice as loud is twice as high; between two of them the level is interpolated in
    dB. Of a sound so short that no threshold lies that far below (a click), it is the level above
    the highest one. 0 of digital silence.
    """
    samples = waveform.astype(np.float64)
    energy = float(np.square(samples).sum())
    if energy == 0.0:
        return 0.0
    envelope = _envelope(samples)
    hangover = round(_HANGOVER_SECONDS * SAMPLE_RATE)
    peak = float(envelope.max())
    before: tuple[float, float] | None = None
    for number in range(1, _THRESHOLDS + 1):
        threshold = peak * 2.0**-number
        level = 10 * np.log10(energy / _active_samples(envelope >= threshold, hangover))
        above = level - 20 * np.log10(threshold)
        if above >= _MARGIN_DB:
            if before is not None:
                level_before, above_before = before
                part = (_MARGIN_DB - above_before) / (above - above_before)
                level = level_before + part * (level - level_before)
            break
        before = level, above
    return float(10 ** (level / 20))


def _envelope(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    decay = np.exp(-1 / (SAMPLE_RATE * _TIME_CONSTANT_SECONDS))
    once = lfilter([1 - decay], [1, -decay], np.abs(samples))
    twice: NDArray[np.float64] = lfilter([1 - decay], [1, -decay], once)
    return twice


def _active_samples(above: NDArray[np.bool_], hangover: int) -> int:
    """How many samples are above the threshold, or at most `hangover` after one that is."""
    changes = np.flatnonzero(np.diff(above))  # the last sample before each
    lengths = np.diff(changes, append=len(above) - 1)
    pauses = lengths[above[changes]]
    return int(above.sum() + np.minimum(pauses, hangover).sum())
