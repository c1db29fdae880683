"""Active speech level (ITU-T P.56): the level of the speech in a recording without its pauses."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from emoscale.audio.waveform import SAMPLE_RATE, Waveform

_TIME_CONSTANT_SECONDS = 0.03
_HANGOVER_SECONDS = 0.2
_MARGIN_DB = 15.9
_THRESHOLDS = 20


def active_speech_rms(waveform: Waveform) -> float:
    """Return the active speech level as a root mean square over the samples with speech.

    This is method B of ITU-T P.56 [1]_. The envelope is smoothed twice with a time constant of
    30 ms. Speech is active while the envelope is above a threshold, and for 200 ms afterwards. The
    threshold is the one that lies 15.9 dB below the resulting level. Thresholds are tested in steps
    of 6 dB downwards from the peak of the envelope, so that the result scales with the waveform;
    between two thresholds, the level is interpolated in dB. If even the highest threshold lies
    15.9 dB or more below its level (a click), the level at that threshold is returned.

    Parameters
    ----------
    waveform : ndarray
        Speech ``[samples]`` at 16 kHz.

    Returns
    -------
    float
        Root mean square, full scale 1; 0 for digital silence.

    References
    ----------
    .. [1] ITU-T Recommendation P.56, "Objective measurement of active speech level", 12/2011.
    """
    samples = waveform.astype(np.float64)
    energy = float(np.square(samples).sum())
    if energy == 0.0:
        return 0.0
    envelope = _envelope(samples)
    hangover_samples = round(_HANGOVER_SECONDS * SAMPLE_RATE)
    peak = float(envelope.max())
    previous: tuple[float, float] | None = None
    for number in range(1, _THRESHOLDS + 1):
        threshold = peak * 2.0**-number
        level_db = 10 * np.log10(energy / _active_samples(envelope >= threshold, hangover_samples))
        margin_db = level_db - 20 * np.log10(threshold)
        if margin_db >= _MARGIN_DB:
            if previous is not None:
                previous_level_db, previous_margin_db = previous
                fraction = (_MARGIN_DB - previous_margin_db) / (margin_db - previous_margin_db)
                level_db = previous_level_db + fraction * (level_db - previous_level_db)
            break
        previous = level_db, margin_db
    return float(10 ** (level_db / 20))


def _envelope(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    decay = np.exp(-1 / (SAMPLE_RATE * _TIME_CONSTANT_SECONDS))
    smoothed = lfilter([1 - decay], [1, -decay], np.abs(samples))
    envelope: NDArray[np.float64] = lfilter([1 - decay], [1, -decay], smoothed)
    return envelope


def _active_samples(above: NDArray[np.bool_], hangover_samples: int) -> int:
    """Count samples above the threshold, or at most `hangover_samples` after one that is."""
    changes = np.flatnonzero(np.diff(above))  # the last sample before each change
    lengths = np.diff(changes, append=len(above) - 1)
    pauses = lengths[above[changes]]
    return int(above.sum() + np.minimum(pauses, hangover_samples).sum())
