"""Synthetic speech-like signals, modified copies of them, and small corpora of recordings."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from emoscale.config.corpus import AudioChecks, CsvCorpus
from emoscale.corpus.readers import read_corpus
from tests.corpus.checked import check_recordings

RATE = 16_000
Wave = NDArray[np.float32]


def speech(seed: int, seconds: float = 1.5, noise_db: float = -50.0) -> Wave:
    """Waveform [samples] of syllables (harmonics with two formants), with pauses and noise."""
    generator = np.random.default_rng([7, seed])
    wave = np.zeros(round(seconds * RATE))
    onset = 0.1
    while onset < seconds - 0.3:
        length = generator.uniform(0.1, 0.28)
        time = np.arange(round(length * RATE)) / RATE
        pitch = generator.uniform(90, 300) * (1 + generator.uniform(-0.3, 0.3) * time / length)
        phase = 2 * np.pi * np.cumsum(pitch) / RATE
        formants = generator.uniform([300, 900], [800, 2800])
        syllable = np.zeros(len(time))
        for harmonic in range(1, 30):
            frequency = harmonic * float(pitch.mean())
            gain = float(np.exp(-(((frequency - formants) / 200) ** 2)).sum()) + 0.01
            syllable += gain * np.sin(harmonic * phase + generator.uniform(0, 6))
        syllable *= np.hanning(len(time)) * generator.uniform(0.3, 1.0)
        first = round(onset * RATE)
        wave[first : first + len(time)] += syllable[: len(wave) - first]
        onset += length + generator.choice([0.02, 0.15])
    wave *= 0.5 / np.abs(wave).max()
    wave += generator.normal(size=len(wave)) * 0.1 * 10 ** (noise_db / 20)
    return wave.astype(np.float32)


def with_noise(wave: Wave, snr_db: float, seed: int = 1) -> Wave:
    """Add white noise at a signal-to-noise ratio of mean powers."""
    noise = np.random.default_rng([8, seed]).normal(size=len(wave))
    power = float(np.mean(np.square(wave, dtype=np.float64)))
    return np.asarray(wave + noise * np.sqrt(power / 10 ** (snr_db / 10)), np.float32)


def resampled(wave: Wave, rate: int) -> Wave:
    """Resample to another sample rate and back."""
    converted = soxr.resample(wave, RATE, rate)
    return np.asarray(soxr.resample(converted, rate, RATE), np.float32)


def coded(wave: Wave, container: str, subtype: str, compression: float) -> Wave:
    """Encode with a lossy codec and decode again; `compression` is 0 (best) to 1 (smallest)."""
    file = io.BytesIO()
    soundfile.write(
        file, wave, RATE, format=container, subtype=subtype, compression_level=compression
    )
    file.seek(0)
    return np.asarray(soundfile.read(file, dtype="float32")[0], np.float32)


COPIES: dict[str, Callable[[Wave], Wave]] = {
    "12 dB quieter": lambda wave: 0.25 * wave,
    "100 ms of silence before it": lambda wave: np.pad(wave, (1600, 0)),
    "both": lambda wave: np.pad(0.25 * wave, (1600, 0)),
    "a second before and half a second after it": lambda wave: np.pad(wave, (16_000, 8_000)),
    "inverted polarity": lambda wave: -wave,
    "8 bits": lambda wave: (np.round(wave * 127) / 127).astype(np.float32),
    "through 8 kHz": lambda wave: resampled(wave, 8_000),
    "through 44.1 kHz": lambda wave: resampled(wave, 44_100),
    "noise 20 dB below it": lambda wave: with_noise(wave, 20),
    "noise 10 dB below it": lambda wave: with_noise(wave, 10),
    "MP3": lambda wave: coded(wave, "MP3", "MPEG_LAYER_III", 0.8),
    "Vorbis": lambda wave: coded(wave, "OGG", "VORBIS", 0.8),
    "Opus": lambda wave: coded(wave, "OGG", "OPUS", 0.8),
    "all at once": lambda wave: with_noise(np.pad(0.3 * resampled(wave, 8_000), (1600, 4000)), 20),
}
"""Modifications that leave a copy of the same recording."""


def with_click(wave: Wave, sample: int) -> Wave:
    """Add a click of 20 ms that has 99 % of the energy."""
    decay = np.exp(-np.arange(320) / 60)
    return _with_sound(wave, np.random.default_rng(9).normal(size=320) * decay, sample, 0.99)


def with_vowel(wave: Wave, sample: int) -> Wave:
    """Add a steady tone of 220 Hz, 0.3 s long, that has 95 % of the energy."""
    time = np.arange(round(0.3 * RATE)) / RATE
    harmonics = sum(np.sin(440 * np.pi * number * time) / number**2 for number in (1, 2, 3))
    return _with_sound(wave, harmonics * np.hanning(len(time)), sample, 0.95)


def _with_sound(wave: Wave, sound: NDArray[np.float64], sample: int, fraction: float) -> Wave:
    energies = [float(np.sum(np.square(each, dtype=np.float64))) for each in (wave, sound)]
    added = wave.astype(np.float64)
    added[sample : sample + len(sound)] += sound * np.sqrt(
        fraction / (1 - fraction) * energies[0] / energies[1]
    )
    return np.asarray(0.9 * added / np.abs(added).max(), np.float32)


def write_corpus(root: Path, rows: list[dict[str, Any]]) -> CsvCorpus:
    """Write a CSV corpus; rows have `file`, `wave`, columns of the table, and optionally `rate`."""
    columns = sorted({key for row in rows for key in row} - {"wave", "rate", "subtype"})
    lines = [",".join(columns)]
    for row in rows:
        path = root / row["file"]
        path.parent.mkdir(parents=True, exist_ok=True)
        rate, subtype = row.get("rate", RATE), row.get("subtype", "PCM_16")
        wave = row["wave"] if rate == RATE else soxr.resample(row["wave"], RATE, rate)
        soundfile.write(path, wave, rate, subtype=subtype)
        lines.append(",".join(str(row.get(column, "")) for column in columns))
    (root / "utterances.csv").write_text("\n".join(lines) + "\n")
    return CsvCorpus(reader="csv", root=str(root))


def recordings_of(corpus: CsvCorpus) -> Any:
    """Return the table of the recordings of a corpus."""
    return check_recordings(read_corpus(corpus), Path(corpus.root), AudioChecks())[0]
