"""Alignment of two waveforms, and whether they are the same recording."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emoscale.audio.waveform import SAMPLE_RATE
from emoscale.audit.fingerprint import HIGHEST_HZ, LOWEST_HZ

CORRELATION_THRESHOLD = 0.5
"""Correlation from which frames are compared (see docs/explanation/audit.md)."""

FRAME_CORRELATION_THRESHOLD = 0.7
"""Median correlation of frames from which waveforms are the same recording (same page)."""

FRAME_SAMPLES = 1024  # 64 ms
BAND_EDGES_HZ = (LOWEST_HZ, 500.0, 1000.0, 2000.0, HIGHEST_HZ)
MINIMUM_FRAMES = 5
"""Audible frames that two waveforms must have in common."""

AUDIBLE = 10.0
"""Power relative to the noise floor from which a frame is audible in a band: 10 dB."""

_FLOOR_QUANTILE = 0.2  # of the powers of all frames in a band
_LOWEST_FLOOR = 1e-5  # relative to the loudest frame: digital silence, or what a codec makes of it
_LAG_STEPS = 4  # per sample


@dataclass(frozen=True)
class WaveformMatch:
    """Best alignment of two waveforms."""

    correlation: float
    """Largest absolute normalised cross-correlation over all lags, between 200 Hz and 4 kHz."""

    lag_seconds: float
    """Delay of the second waveform relative to the first, seconds, in quarters of a sample."""

    gain_db: float
    """Level of the second waveform relative to the first, dB."""

    inverted: bool = False
    """Whether the cross-correlation is negative."""


def match_waveforms(first: NDArray[np.float32], second: NDArray[np.float32]) -> WaveformMatch:
    """Align two waveforms at the lag of their largest absolute cross-correlation.

    Both are limited to 200 Hz to 4 kHz. An inverted copy matches as well. Silence does not change
    the correlation, so waveforms need not be trimmed. Noise at a signal-to-noise ratio r (a power
    ratio) lowers the correlation of a copy to √(r / (1 + r)).

    Parameters
    ----------
    first, second : ndarray
        Waveforms ``[samples]`` at 16 kHz.

    Returns
    -------
    WaveformMatch
        Correlation, lag and gain; all 0 if a waveform is silent.
    """
    size = 1 << int(np.ceil(np.log2(len(first) + len(second))))
    frequencies = np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    passband = ((frequencies >= LOWEST_HZ) & (frequencies <= HIGHEST_HZ)).astype(np.float32)
    first_spectrum = np.fft.rfft(first, size) * passband
    second_spectrum = np.fft.rfft(second, size) * passband
    energy = [
        float(np.sum(np.abs(spectrum) ** 2)) for spectrum in (first_spectrum, second_spectrum)
    ]
    if min(energy) <= 0.0:
        return WaveformMatch(0.0, 0.0, 0.0)
    cross_correlation = np.fft.irfft(second_spectrum * np.conj(first_spectrum), size)
    peak = int(np.abs(cross_correlation).argmax())
    correlation = float(cross_correlation[peak]) * size / 2 / np.sqrt(energy[0] * energy[1])
    lag = (peak + size // 2) % size - size // 2 + _peak_offset(cross_correlation, peak)
    gain = 10 * float(np.log10(energy[1] / energy[0]))
    return WaveformMatch(
        min(abs(float(correlation)), 1.0), lag / SAMPLE_RATE, gain, bool(correlation < 0.0)
    )


def frame_correlation(
    first: NDArray[np.float32], second: NDArray[np.float32], match: WaveformMatch
) -> float:
    """Compute the median correlation of the audible frames of two aligned waveforms.

    The correlation of whole waveforms is weighted by energy, so that a single click, or a vowel of
    the same pitch, can decide it. Here each frame of 64 ms counts the same, in each of four bands.
    It counts in a band if it is audible in either waveform, 10 dB above the floor of that waveform
    (its quietest fifth, but at most 50 dB below its loudest frame), and would also be audible in
    the other one, amplified to its level (by least squares). The phases of the bands are not
    fitted: those of a steady vowel would then agree with any other vowel of its pitch.

    Parameters
    ----------
    first, second : ndarray
        Waveforms ``[samples]`` at 16 kHz.
    match : WaveformMatch
        Their alignment.

    Returns
    -------
    float
        Median, -1 to 1; 0 if fewer than `MINIMUM_FRAMES` frames are audible.
    """
    lag = match.lag_seconds * SAMPLE_RATE
    whole_lag = round(lag)
    start = max(0, -whole_lag)
    frames = (min(len(first), len(second) - whole_lag) - start) // FRAME_SAMPLES
    if frames < MINIMUM_FRAMES:
        return 0.0
    shape = (frames, FRAME_SAMPLES)
    spectra = [
        np.fft.rfft(waveform[begin : begin + frames * FRAME_SAMPLES].reshape(shape) * _WINDOW)
        for waveform, begin in ((first, start), (second, start + whole_lag))
    ]
    spectra[1] *= np.exp(2j * np.pi * _FREQUENCIES / SAMPLE_RATE * (lag - whole_lag))
    products = np.real(spectra[0] * np.conj(spectra[1])) @ _BANDS  # [frames, bands]
    powers = [np.square(np.abs(spectrum)) @ _BANDS for spectrum in spectra]
    products *= -1 if match.inverted else 1
    total, total_power = products.sum(axis=0), powers[0].sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        power_gain = np.square(total / total_power)
        correlations = products / np.sqrt(powers[0] * powers[1])
        audible = _is_audible(powers[0], powers[1], power_gain)
        audible |= _is_audible(powers[1], powers[0], 1 / power_gain)
    if audible.any(axis=1).sum() < MINIMUM_FRAMES:
        return 0.0
    return float(np.median(np.nan_to_num(correlations[audible])))


def _is_audible(
    powers: NDArray[np.float64], other_powers: NDArray[np.float64], power_gain: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether frames ``[frames, bands]`` are audible in their waveform and in the other one."""
    floor, other_floor = (
        np.maximum(np.quantile(each, _FLOOR_QUANTILE, axis=0), _LOWEST_FLOOR * each.max(axis=0))
        for each in (powers, other_powers)
    )
    audible: NDArray[np.bool_] = (powers > AUDIBLE * floor) & (
        powers * power_gain > AUDIBLE * other_floor
    )
    return audible


def _peak_offset(values: NDArray[np.float64], peak: int) -> float:
    """Offset of a parabola's peak through three values, in steps of a quarter."""
    before, at, after = np.abs(values[[peak - 1, peak, (peak + 1) % len(values)]])
    curvature = before - 2 * at + after
    offset = (before - after) / (2 * curvature) if curvature < 0 else 0.0
    return float(np.round(offset * _LAG_STEPS) / _LAG_STEPS)


_WINDOW = np.hanning(FRAME_SAMPLES)
_FREQUENCIES = np.fft.rfftfreq(FRAME_SAMPLES, 1 / SAMPLE_RATE)
_BANDS = (
    np.digitize(_FREQUENCIES, BAND_EDGES_HZ)[:, None] == np.arange(1, len(BAND_EDGES_HZ))
).astype(np.float64)  # [bins, bands]
