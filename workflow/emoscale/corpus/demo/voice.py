"""How emotion and speaker sound in the demo corpus.

Five properties of a voice move with the emotion: rate, pitch, pitch range, loudness and spectral
tilt. Speakers differ in the same five, and every utterance has an intensity and a scatter of its
own, so the classes overlap and a new speaker is not like the known ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from emoscale.audio.decoding import SAMPLE_RATE

#                    rate  pitch range  loud  tilt
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
"""Where each emotion lies, in units of the spread below."""

_SPREAD = np.array([22.0, 11.0, 17.0, 3.5, 2.2])
"""One unit: words a minute, espeak pitch and range points, dB, dB an octave."""

_BASE = {
    "F": np.array([165.0, 55.0, 45.0, -27.0, 0.0]),
    "M": np.array([160.0, 42.0, 40.0, -27.0, 0.0]),
}
_SPEAKER_SCATTER = 0.3
_UTTERANCE_SCATTER = 0.9
# Variants with breath noise (f2, f3, f5) are left out: they sound different at every start.
_VARIANTS = {"F": ["f1", "linda", "f4", "steph", "Annie"], "M": ["m1", "m3", "m7", "john", "Lee"]}
_ACCENTS = ["en-us", "en"]


@dataclass(frozen=True)
class Voice:
    """One utterance's voice: what espeak-ng is asked for, and what is done to its sound."""

    name: str
    rate: int
    pitch: int
    range: int
    level: float
    """Root mean square, dB of full scale."""
    tilt: float
    """dB an octave around 1 kHz."""
    noise: float
    """Root mean square of the background, dB of full scale."""
    lead_seconds: float
    """Quiet before the first word."""
    trail_seconds: float
    """Quiet after the last word."""
    noise_seed: int


@dataclass(frozen=True)
class Speaker:
    """What is constant in one person's voice."""

    name: str
    offsets: NDArray[np.float64]
    noise: float
    sex: str


def draw_speaker(seed: int, session: int, sex: str) -> Speaker:
    """The woman or the man of a session."""
    generator = np.random.default_rng([seed, 21, session, "FM".index(sex)])
    variants = _VARIANTS[sex]
    return Speaker(
        name=f"{_ACCENTS[session % 2]}+{variants[(session - 1) % len(variants)]}",
        offsets=generator.normal(0.0, _SPEAKER_SCATTER, len(_SPREAD)),
        noise=float(generator.uniform(-68.0, -58.0)),
        sex=sex,
    )


def draw_voice(
    generator: np.random.Generator, speaker: Speaker, emotion: str, expressiveness: float
) -> Voice:
    """The voice of one utterance."""
    intensity = expressiveness * generator.uniform(0.9, 2.3)
    units = (
        intensity * EMOTIONS[emotion]
        + speaker.offsets
        + generator.normal(0.0, _UTTERANCE_SCATTER, len(_SPREAD))
    )
    rate, pitch, extent, level, tilt = _BASE[speaker.sex] + units * _SPREAD
    return Voice(
        name=speaker.name,
        rate=int(np.clip(round(rate), 90, 320)),
        pitch=int(np.clip(round(pitch), 0, 99)),
        range=int(np.clip(round(extent), 0, 99)),
        level=float(np.clip(level, -45.0, -14.0)),
        tilt=float(np.clip(tilt, -9.0, 9.0)),
        noise=speaker.noise,
        lead_seconds=float(generator.uniform(0.08, 0.35)),
        trail_seconds=float(generator.uniform(0.08, 0.35)),
        noise_seed=int(generator.integers(2**31)),
    )


def sound(spoken: NDArray[np.float32], rate: int, voice: Voice) -> NDArray[np.float32]:
    """[samples] at 16 kHz: tilted, at its level, between two pauses, with background noise."""
    speech = soxr.resample(spoken, rate, SAMPLE_RATE, quality="HQ").astype(np.float64)
    speech = _tilt(speech, voice.tilt)
    speech *= 10 ** (voice.level / 20) / max(float(np.sqrt(np.mean(speech**2))), 1e-9)
    whole = np.concatenate(
        [
            np.zeros(round(voice.lead_seconds * SAMPLE_RATE)),
            speech,
            np.zeros(round(voice.trail_seconds * SAMPLE_RATE)),
        ]
    )
    noise = np.random.default_rng(voice.noise_seed).normal(0.0, 1.0, len(whole))
    whole += 10 ** (voice.noise / 20) * noise
    limited: NDArray[np.float32] = np.clip(whole, -0.99, 0.99).astype(np.float32)
    return limited


def _tilt(speech: NDArray[np.float64], decibels_an_octave: float) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(speech)
    frequencies = np.fft.rfftfreq(len(speech), 1 / SAMPLE_RATE)
    octaves = np.log2(np.clip(frequencies, 125.0, 8000.0) / 1000.0)
    return np.fft.irfft(spectrum * 10 ** (decibels_an_octave * octaves / 20), len(speech))
