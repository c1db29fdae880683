"""Speech in a room that is not there."""

from __future__ import annotations

import numpy as np
from scipy.signal import fftconvolve

from emoscale.audio.decoding import SAMPLE_RATE, Waveform
from emoscale.audio.speech_level import active_level


def impulse_response(reverberation_seconds: float, generator: np.random.Generator) -> Waveform:
    """[samples] of a synthetic room: the direct sound (1, at once), then Gaussian noise that dies.

    The model of diffuse reverberation of Polack ("La transmission de l'énergie sonore dans les
    salles", 1988): the noise falls by 60 dB in `reverberation_seconds`. Its energy is that of the
    direct sound, as at the critical distance from the speaker.
    """
    time = np.arange(1, round(reverberation_seconds * SAMPLE_RATE) + 1) / SAMPLE_RATE
    tail = generator.standard_normal(len(time)) * 10 ** (-3 * time / reverberation_seconds)
    tail /= np.sqrt(np.square(tail).sum())
    response: Waveform = np.concatenate([[1.0], tail]).astype(np.float32)
    return response


def reverberate(
    waveform: Waveform, reverberation_seconds: float, generator: np.random.Generator
) -> Waveform:
    """Speech [samples] in such a room, as long, as loud (`active_level`) and not delayed.

    What of the tail comes after the end is cut.
    """
    response = impulse_response(reverberation_seconds, generator)
    heard = fftconvolve(waveform.astype(np.float64), response)[: len(waveform)]
    gain = active_level(waveform) / max(active_level(heard.astype(np.float32)), 1e-30)
    as_loud: Waveform = (gain * heard).astype(np.float32)
    return as_loud
