"""Acoustic measures of signals with known level, clipping, silence and noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emoscale.audio.decoding import Recording
from emoscale.audit.acoustics import Acoustics, measure_acoustics
from emoscale.audit.measurement import MEASUREMENTS, measure_shard
from emoscale.runtime.errors import AudioError
from emoscale.tables.parquet import read_table, write_table
from tests.audit.speech import RATE, Wave, recordings_of, speech, with_noise, write_corpus


def measured(wave: Wave, rate: int = RATE) -> Acoustics:
    recording = Recording(np.asarray(wave, np.float32)[:, None], rate)
    return measure_acoustics(recording, recording.waveform())


def tone(level: float, seconds: float = 1.0) -> Wave:
    time = np.arange(round(seconds * RATE)) / RATE
    return np.asarray(level * np.sin(2 * np.pi * 440 * time), np.float32)


def test_level_of_a_sine() -> None:
    """The root mean square of a sine is its peak over √2, 3.01 dB less."""
    acoustics = measured(tone(0.5))
    assert acoustics.peak == pytest.approx(0.5, abs=1e-3)
    assert acoustics.rms_dbfs == pytest.approx(-6.02 - 3.01, abs=0.01)
    assert acoustics.clipped_fraction == 0
    assert acoustics.silence_fraction == 0


def test_clipped_fraction_before_and_after_attenuation() -> None:
    """A sine of twice full scale exceeds it where |sin| > 1/2, two thirds of the time."""
    clipped = np.clip(2 * tone(1.0), -1, 1).astype(np.float32)
    assert measured(clipped).clipped_fraction == pytest.approx(2 / 3, abs=0.02)
    assert measured(0.1 * clipped).clipped_fraction == pytest.approx(2 / 3, abs=0.02)
    sixteen_bits = (np.round(0.1 * clipped * 32768) / 32768).astype(np.float32)
    assert measured(sixteen_bits).clipped_fraction == pytest.approx(2 / 3, abs=0.02)
    assert measured(speech(1)).clipped_fraction == 0


def test_silence_is_measured_and_trimmed() -> None:
    acoustics = measured(np.pad(tone(0.5), (RATE // 2, RATE // 4)))
    assert acoustics.leading_silence_seconds == pytest.approx(0.5, abs=0.03)
    assert acoustics.trimmed_seconds == pytest.approx(1.0, abs=0.06)
    assert acoustics.silence_fraction == pytest.approx(0.75 / 1.75, abs=0.03)


@pytest.mark.parametrize("snr_db", [0.0, 5.0, 10.0, 15.0, 20.0, 25.0])
def test_snr_of_speech_in_noise(snr_db: float) -> None:
    estimates = [measured(with_noise(speech(n, 3.0, -90), snr_db)).snr_db for n in range(8)]
    errors = np.array(estimates, float) - snr_db
    assert abs(errors.mean()) < 1.5
    assert np.abs(errors).max() < 3


def test_digital_silence_does_not_change_the_snr() -> None:
    noisy = with_noise(speech(1, 3.0, -90), 10)
    snr_db = measured(noisy).snr_db
    assert snr_db is not None
    assert measured(np.pad(noisy, RATE)).snr_db == pytest.approx(snr_db, abs=0.5)
    assert measured(tone(0.5, 0.05)).snr_db is None


def test_every_utterance_has_a_row_at_any_sample_rate(tmp_path: Path) -> None:
    rows = [
        {"file": f"{n}.wav", "wave": speech(n), "rate": rate, "speaker": "a", "emotion": "x"}
        for n, rate in enumerate([8_000, 16_000, 44_100])
    ]
    corpus = write_corpus(tmp_path, rows)
    measurements = measure_shard(recordings_of(corpus), tmp_path)
    threaded = measure_shard(recordings_of(corpus), tmp_path, threads=2)
    assert measurements.equals(threaded)
    assert measurements["utterance"].to_list() == ["0", "1", "2"]
    write_table(measurements, tmp_path / "measured.parquet", MEASUREMENTS)
    assert read_table(tmp_path / "measured.parquet", MEASUREMENTS).equals(measurements)


def test_recordings_changed_since_the_corpus_was_read_are_refused(tmp_path: Path) -> None:
    row = {"file": "0.wav", "wave": speech(0), "rate": RATE, "speaker": "a", "emotion": "x"}
    recordings = recordings_of(write_corpus(tmp_path, [row]))
    write_corpus(tmp_path, [{**row, "wave": speech(1)}])
    with pytest.raises(AudioError, match=r"0\.wav: 0 has changed since the corpus was read"):
        measure_shard(recordings, tmp_path)
