"""Synthetic speech-like signals and measures of their level."""

from __future__ import annotations

import numpy as np

from emoscale.representations.contract import Waveform


def speech_like(seconds: float = 2.0, seed: int = 0) -> Waveform:
    """Noise [samples] at 16 kHz with a new level every 100 ms, every fourth of them a pause."""
    generator = np.random.default_rng(seed)
    samples = round(seconds * 16_000)
    amplitude = np.repeat(generator.uniform(0.02, 0.2, samples // 1600 + 1), 1600)[:samples]
    amplitude[(np.arange(samples) // 1600) % 4 == 3] = 1e-4
    return (amplitude * generator.standard_normal(samples)).astype(np.float32)


def decibels(ratio: float) -> float:
    """Ratio of amplitudes in dB."""
    return float(20 * np.log10(ratio))


def root_mean_square(waveform: Waveform) -> float:
    return float(np.sqrt(np.mean(waveform.astype(np.float64) ** 2)))
