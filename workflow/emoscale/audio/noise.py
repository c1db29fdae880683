"""Noise at an exact level beside the speech."""

from __future__ import annotations

import numpy as np

from emoscale.audio.decoding import Waveform
from emoscale.audio.speech_level import active_level


def white_noise(samples: int, generator: np.random.Generator) -> Waveform:
    """[samples] of Gaussian noise of standard deviation 1."""
    return generator.standard_normal(samples, dtype=np.float32)


def add_noise(waveform: Waveform, noise: Waveform, snr_db: float) -> Waveform:
    """Speech [samples] as it is, with `noise` [samples] added at that signal-to-noise ratio.

    The ratio is the active speech level (`active_level`) over the root mean square of all of the
    noise, dB. The sum is louder than the speech; being of floats, it is not clipped.
    """
    loudness = float(np.sqrt(np.mean(noise.astype(np.float64) ** 2)))
    if loudness == 0.0:
        return waveform
    gain = active_level(waveform) / loudness * 10 ** (-snr_db / 20)
    return (waveform + gain * noise.astype(np.float64)).astype(np.float32)
