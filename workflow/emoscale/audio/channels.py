"""Room reverberation and the telephone channel (ITU-T G.711), as perturbations of speech."""

from __future__ import annotations

import numpy as np
import soxr
from numpy.typing import NDArray
from scipy.signal import butter, fftconvolve, sosfiltfilt

from emoscale.audio.speech_level import active_speech_rms
from emoscale.audio.waveform import SAMPLE_RATE, Waveform


def impulse_response(reverberation_seconds: float, generator: np.random.Generator) -> Waveform:
    """Generate a synthetic room impulse response.

    The direct sound is a 1 at time 0. The tail follows the model of diffuse reverberation of
    Polack [1]_: Gaussian noise that decays by 60 dB in `reverberation_seconds`. The tail has the
    same energy as the direct sound, as at the critical distance from the speaker.

    Parameters
    ----------
    reverberation_seconds : float
        Reverberation time RT60, seconds.
    generator : numpy.random.Generator
        Generator of the tail.

    Returns
    -------
    ndarray
        Impulse response ``[samples]`` at 16 kHz.

    References
    ----------
    .. [1] J.-D. Polack, "La transmission de l'énergie sonore dans les salles", 1988.
    """
    time = np.arange(1, round(reverberation_seconds * SAMPLE_RATE) + 1) / SAMPLE_RATE
    tail = generator.standard_normal(len(time)) * 10 ** (-3 * time / reverberation_seconds)
    tail /= np.sqrt(np.square(tail).sum())
    response: Waveform = np.concatenate([[1.0], tail]).astype(np.float32)
    return response


def reverberate(
    waveform: Waveform, reverberation_seconds: float, generator: np.random.Generator
) -> Waveform:
    """Convolve speech with a synthetic room impulse response.

    The result is not delayed, has the active speech level of the input, and is cut to its length.

    Parameters
    ----------
    waveform : ndarray
        Speech ``[samples]`` at 16 kHz.
    reverberation_seconds : float
        Reverberation time RT60, seconds.
    generator : numpy.random.Generator
        Generator of the impulse response.

    Returns
    -------
    ndarray
        Reverberant speech ``[samples]`` at 16 kHz.
    """
    response = impulse_response(reverberation_seconds, generator)
    reverberant = fftconvolve(waveform.astype(np.float64), response)[: len(waveform)]
    reverberant_rms = active_speech_rms(reverberant.astype(np.float32))
    gain = active_speech_rms(waveform) / max(reverberant_rms, 1e-30)
    normalised: Waveform = (gain * reverberant).astype(np.float32)
    return normalised


_TELEPHONE_SAMPLE_RATE = 8_000
_PASSBAND_HZ = (300.0, 3_400.0)
_FILTER_ORDER = 6
_NOMINAL_LEVEL_DB = -26.0
_MU_LAW_BIAS, _MU_LAW_CLIP = 132, 32_635


def apply_telephone_channel(waveform: Waveform) -> Waveform:
    """Pass speech through the band and the codec of a telephone.

    The channel is a band-pass filter from 300 to 3,400 Hz (Butterworth, applied forwards and
    backwards: 6 dB down at both edges), 8 kHz sampling, and the mu-law of ITU-T G.711. The codec's
    input is 26 dB below its full scale, the nominal level of ITU-T P.830, and clips at full scale.
    The result is not delayed and has the length and the active speech level of the input.

    Parameters
    ----------
    waveform : ndarray
        Speech ``[samples]`` at 16 kHz.

    Returns
    -------
    ndarray
        Telephone speech ``[samples]`` at 16 kHz.
    """
    speech_rms = active_speech_rms(waveform)
    if speech_rms == 0.0:
        return waveform
    narrowband = soxr.resample(
        waveform.astype(np.float64), SAMPLE_RATE, _TELEPHONE_SAMPLE_RATE, quality="VHQ"
    )
    padding = min(_TELEPHONE_SAMPLE_RATE // 10, len(narrowband) - 1)
    filtered = sosfiltfilt(_bandpass_filter(), narrowband, padlen=padding)
    coded = mu_law_codec(filtered * 10 ** (_NOMINAL_LEVEL_DB / 20) / speech_rms)
    resampled = soxr.resample(coded, _TELEPHONE_SAMPLE_RATE, SAMPLE_RATE, quality="VHQ")
    resampled = resampled[: len(waveform)]
    output = np.pad(resampled, (0, len(waveform) - len(resampled))).astype(np.float32)
    gain = speech_rms / max(active_speech_rms(output), 1e-30)
    return (gain * output).astype(np.float32)


def mu_law_codec(samples: NDArray[np.float64]) -> NDArray[np.float64]:
    """Encode and decode samples with the 8-bit mu-law of ITU-T G.711.

    The code is bit-exact with the G.711 coder of ITU-T G.191: a sign, the segment (a power of 2),
    and four bits within the segment. Samples beyond full scale are clipped.

    Parameters
    ----------
    samples : ndarray
        Samples of any shape, full scale 1.

    Returns
    -------
    ndarray
        Decoded samples of the same shape, full scale 1.
    """
    pcm = np.clip(np.rint(samples * 32_768), -32_768, 32_767)
    magnitude = (np.minimum(np.abs(pcm), _MU_LAW_CLIP) + _MU_LAW_BIAS).astype(np.int64)
    dropped_bits = np.floor(np.log2(magnitude)).astype(np.int64) - 4  # four bits are coded
    quantised = ((magnitude >> dropped_bits) << dropped_bits) + (1 << (dropped_bits - 1))
    decoded: NDArray[np.float64] = np.copysign(quantised - _MU_LAW_BIAS, pcm) / 32_768
    return decoded


def _bandpass_filter() -> NDArray[np.float64]:
    sections: NDArray[np.float64] = butter(
        _FILTER_ORDER, _PASSBAND_HZ, btype="bandpass", fs=_TELEPHONE_SAMPLE_RATE, output="sos"
    )
    return sections
