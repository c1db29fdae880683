"""Recordings of synthetic tones, for tests of pre-training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

from emoscale.pretraining.crops import SpeechFile


def write_tones(folder: Path, seconds: list[float], seed: int = 0) -> list[SpeechFile]:
    """Write a recording per duration: tones that change every 0.3 s, and noise."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    files = []
    for number, duration in enumerate(seconds):
        samples = round(duration * 16_000)
        pitch = np.repeat(generator.uniform(300, 3000, samples // 4800 + 1), 4800)[:samples]
        wave = 0.1 * np.sin(2 * np.pi * np.cumsum(pitch) / 16_000)
        wave += 0.01 * generator.standard_normal(samples)
        path = folder / f"{number:03d}.wav"
        soundfile.write(path, wave, 16_000)
        files.append(SpeechFile(path, 0.0, duration))
    return files
