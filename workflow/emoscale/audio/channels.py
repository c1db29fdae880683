"""Channels that speech is heard through: a reverberant room, and the telephone (ITU-T G.711)."""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, sosfiltfilt

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


_RATE = 8_000
_BAND_HZ = (300.0, 3_400.0)
_ORDER = 6
_NOMINAL_DB = -26.0
_BIAS, _LARGEST = 132, 32_635


def over_telephone(waveform: Waveform) -> Waveform:
    """Speech [samples] at 16 kHz through a telephone's band and codec; as long, not delayed.

    300 to 3,400 Hz (a Butterworth filter forwards and backwards: 6 dB down at both ends), 8 kHz,
    and the mu-law of ITU-T G.711. The codec is given speech at 26 dB below its full scale, the
    nominal level of ITU-T P.830, and clips there; the result is as loud as the speech was
    (`active_level`).
    """
    level = active_level(waveform)
    if level == 0.0:
        return waveform
    narrow = soxr.resample(waveform.astype(np.float64), SAMPLE_RATE, _RATE, quality="VHQ")
    filtered = sosfiltfilt(_filter(), narrow, padlen=min(_RATE // 10, len(narrow) - 1))
    coded = mu_law(filtered * 10 ** (_NOMINAL_DB / 20) / level)
    wide = soxr.resample(coded, _RATE, SAMPLE_RATE, quality="VHQ")[: len(waveform)]
    heard = np.pad(wide, (0, len(waveform) - len(wide))).astype(np.float32)
    gain = level / max(active_level(heard), 1e-30)
    return (gain * heard).astype(np.float32)


def mu_law(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Samples of full scale 1 as ITU-T G.711's mu-law gives them back: 8 bits, in 16 segments.

    The bits are those of ITU-T G.191's G.711 coder: a sign, the segment (a power of 2), and four
    bits within it; what is beyond full scale is clipped.
    """
    pcm = np.clip(np.rint(samples * 32_768), -32_768, 32_767)
    magnitude = (np.minimum(np.abs(pcm), _LARGEST) + _BIAS).astype(np.int64)
    step = np.floor(np.log2(magnitude)).astype(np.int64) - 4  # bits below the four that are kept
    kept = ((magnitude >> step) << step) + (1 << (step - 1))
    decoded: NDArray[np.float64] = np.copysign(kept - _BIAS, pcm) / 32_768
    return decoded


def _filter() -> NDArray[np.float64]:
    sections: NDArray[np.float64] = butter(
        _ORDER, _BAND_HZ, btype="bandpass", fs=_RATE, output="sos"
    )
    return sections
