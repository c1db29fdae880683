"""Acoustic model of the demo corpus: how emotion and speaker change the synthetic voice.

Five properties depend on the emotion: speaking rate, pitch, pitch range, level and spectral tilt.
Speakers differ in the same five, and each utterance has a random intensity and random deviations,
so the classes overlap and speakers differ from each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from emoscale.audio.waveform import SAMPLE_RATE

#                    rate  pitch range  level tilt
EMOTIONS = {
    "neu": np.array([0.0, 0.0, 0.0, 0.0, 0.0]),
    "hap": np.array([0.5, 1.2, 1.0, 0.2, 0.3]),
    "exc": np.array([0.9, 1.4, 1.2, 0.6, 0.6]),
    "ang": np.array([0.6, 0.1, 0.5, 1.3, 1.4]),
    "sad": np.array([-1.1, -0.7, -0.9, -1.0, -1.1]),
    "fru": np.array([0.2, -0.1, 0.1, 0.6, 0.6]),
    "sur": np.array([0.3, 1.6, 1.6, 0.4, 0.3]),
    "fea": np.array([0.8, 0.9, -0.3, -0.4, 0.2]),
}
"""Mean deviation of each emotion from neutral, in units of `_SCALE`."""

_SCALE = np.array([22.0, 11.0, 17.0, 3.5, 2.2])
"""Unit of the deviations: words per minute, espeak pitch and range points, dB, dB per octave."""

_NEUTRAL = {
    "F": np.array([165.0, 55.0, 45.0, -27.0, 0.0]),
    "M": np.array([160.0, 42.0, 40.0, -27.0, 0.0]),
}
_SPEAKER_STD = 0.3
_UTTERANCE_STD = 0.9
# Variants with breath noise (f2, f3, f5) are excluded: their audio differs at every start.
_VARIANTS = {"F": ["f1", "linda", "f4", "steph", "Annie"], "M": ["m1", "m3", "m7", "john", "Lee"]}
_ACCENTS = ["en-us", "en"]
# Of unlabelled speech: other variants and accents, so that no session has such a voice. Alicia and
# victor are excluded, because their audio differs at every start, too.
_UNLABELLED_VARIANTS = {
    "F": ["Andrea", "anika", "aunty", "grandma", "shelby"],
    "M": ["m2", "m4", "m6", "m8", "Denis"],
}
_UNLABELLED_ACCENTS = ["en-us-nyc", "en-gb-x-rp", "en-gb-scotland", "en-029"]


@dataclass(frozen=True)
class Voice:
    """Voice of one utterance: parameters of espeak-ng, and of the processing of its output."""

    name: str
    """Voice of espeak-ng."""
    words_per_minute: int
    pitch: int
    """espeak points, 0 to 99."""
    pitch_range: int
    """espeak points, 0 to 99."""
    level_db: float
    """Root mean square of the speech, dB re full scale."""
    tilt_db_per_octave: float
    """Spectral tilt, relative to 1 kHz."""
    noise_level_db: float
    """Root mean square of the background noise, dB re full scale."""
    lead_seconds: float
    """Pause before the first word."""
    trail_seconds: float
    """Pause after the last word."""
    noise_seed: int


@dataclass(frozen=True)
class Speaker:
    """Constant properties of one speaker's voice."""

    name: str
    """Voice of espeak-ng."""
    offsets: NDArray[np.float64]
    """[5] Deviations from neutral, in units of `_SCALE`."""
    noise_level_db: float
    """Root mean square of the background noise, dB re full scale."""
    sex: str


def sample_speaker(seed: int, session: int, sex: str) -> Speaker:
    """Sample the female or male speaker of a session.

    Parameters
    ----------
    seed : int
        Seed of the corpus.
    session : int
        Session number, from 1.
    sex : {'F', 'M'}
        Sex of the speaker.

    Returns
    -------
    Speaker
        The speaker.
    """
    variants = _VARIANTS[sex]
    name = f"{_ACCENTS[session % 2]}+{variants[(session - 1) % len(variants)]}"
    return _speaker(name, sex, np.random.default_rng([seed, 21, session, "FM".index(sex)]))


def sample_unlabelled_speaker(seed: int, number: int) -> Speaker:
    """Sample a speaker of unlabelled speech, whose voice no session has.

    Parameters
    ----------
    seed : int
        Seed of the speech.
    number : int
        Number of the speaker, from 1; women have odd numbers, men have even ones.

    Returns
    -------
    Speaker
        The speaker. 40 speakers have different voices of espeak-ng; more differ in their offsets.
    """
    position, sex_index = divmod(number - 1, 2)
    sex = "FM"[sex_index]
    variants, accents = _UNLABELLED_VARIANTS[sex], _UNLABELLED_ACCENTS
    name = f"{accents[position % len(accents)]}+{variants[position % len(variants)]}"
    return _speaker(name, sex, np.random.default_rng([seed, 22, number]))


def _speaker(name: str, sex: str, generator: np.random.Generator) -> Speaker:
    return Speaker(
        name=name,
        offsets=generator.normal(0.0, _SPEAKER_STD, len(_SCALE)),
        noise_level_db=float(generator.uniform(-68.0, -58.0)),
        sex=sex,
    )


def sample_voice(
    generator: np.random.Generator, speaker: Speaker, emotion: str, expressiveness: float
) -> Voice:
    """Sample the voice of one utterance.

    Parameters
    ----------
    generator : Generator
        Source of randomness.
    speaker : Speaker
        The speaker.
    emotion : str
        Portrayed emotion, a key of `EMOTIONS`.
    expressiveness : float
        Factor of the emotional deviations; 0: none.

    Returns
    -------
    Voice
        The voice.
    """
    intensity = expressiveness * generator.uniform(0.9, 2.3)
    deviations = (
        intensity * EMOTIONS[emotion]
        + speaker.offsets
        + generator.normal(0.0, _UTTERANCE_STD, len(_SCALE))
    )
    rate, pitch, pitch_range, level, tilt = _NEUTRAL[speaker.sex] + deviations * _SCALE
    return Voice(
        name=speaker.name,
        words_per_minute=int(np.clip(round(rate), 90, 320)),
        pitch=int(np.clip(round(pitch), 0, 99)),
        pitch_range=int(np.clip(round(pitch_range), 0, 99)),
        level_db=float(np.clip(level, -45.0, -14.0)),
        tilt_db_per_octave=float(np.clip(tilt, -9.0, 9.0)),
        noise_level_db=speaker.noise_level_db,
        lead_seconds=float(generator.uniform(0.08, 0.35)),
        trail_seconds=float(generator.uniform(0.08, 0.35)),
        noise_seed=int(generator.integers(2**31)),
    )


def render(speech: NDArray[np.float32], sample_rate: int, voice: Voice) -> NDArray[np.float32]:
    """Resample synthetic speech, and apply the tilt, level, pauses and background noise of a voice.

    Parameters
    ----------
    speech : ndarray
        Output of espeak-ng, ``[samples]``.
    sample_rate : int
        Sample rate of `speech`, Hz.
    voice : Voice
        The voice.

    Returns
    -------
    ndarray
        Waveform at 16 kHz, ``[samples]``.
    """
    resampled = soxr.resample(speech, sample_rate, SAMPLE_RATE, quality="HQ").astype(np.float64)
    tilted = _apply_tilt(resampled, voice.tilt_db_per_octave)
    tilted *= 10 ** (voice.level_db / 20) / max(float(np.sqrt(np.mean(tilted**2))), 1e-9)
    waveform = np.concatenate(
        [
            np.zeros(round(voice.lead_seconds * SAMPLE_RATE)),
            tilted,
            np.zeros(round(voice.trail_seconds * SAMPLE_RATE)),
        ]
    )
    noise = np.random.default_rng(voice.noise_seed).normal(0.0, 1.0, len(waveform))
    waveform += 10 ** (voice.noise_level_db / 20) * noise
    clipped: NDArray[np.float32] = np.clip(waveform, -0.99, 0.99).astype(np.float32)
    return clipped


def _apply_tilt(speech: NDArray[np.float64], tilt_db_per_octave: float) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(speech)
    frequencies = np.fft.rfftfreq(len(speech), 1 / SAMPLE_RATE)
    octaves = np.log2(np.clip(frequencies, 125.0, 8000.0) / 1000.0)
    return np.fft.irfft(spectrum * 10 ** (tilt_db_per_octave * octaves / 20), len(speech))
