from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emoscale.audio.decoding import Recording
from emoscale.audit.acoustics import Acoustics, measure
from emoscale.audit.measuring import MEASURED, measure_shard
from emoscale.runtime.errors import AudioError
from emoscale.tables.parquet import read_table, write_table
from tests.audit.speech import RATE, Wave, recordings_of, speech, with_noise, write_corpus


def measured(wave: Wave, rate: int = RATE) -> Acoustics:
    recording = Recording(np.asarray(wave, np.float32)[:, None], rate)
    return measure(recording, recording.waveform())


def tone(level: float, seconds: float = 1.0) -> Wave:
    time = np.arange(round(seconds * RATE)) / RATE
    return np.asarray(level * np.sin(2 * np.pi * 440 * time), np.float32)


def test_the_level_of_a_sine() -> None:
    """A sine's root mean square is its peak over √2: 3.01 dB less."""
    found = measured(tone(0.5))
    assert found.peak == pytest.approx(0.5, abs=1e-3)
    assert found.rms_dbfs == pytest.approx(-6.02 - 3.01, abs=0.01)
    assert found.clipped_fraction == 0
    assert found.silence_fraction == 0


def test_a_clipped_sine_and_one_that_was_turned_down_afterwards() -> None:
    """A sine of twice the limit is beyond it where |sin| > 1/2: two thirds of the time."""
    clipped = np.clip(2 * tone(1.0), -1, 1).astype(np.float32)
    assert measured(clipped).clipped_fraction == pytest.approx(2 / 3, abs=0.02)
    assert measured(0.1 * clipped).clipped_fraction == pytest.approx(2 / 3, abs=0.02)
    sixteen = (np.round(0.1 * clipped * 32768) / 32768).astype(np.float32)
    assert measured(sixteen).clipped_fraction == pytest.approx(2 / 3, abs=0.02)
    assert measured(speech(1)).clipped_fraction == 0


def test_silence_is_counted_and_cut_off() -> None:
    found = measured(np.pad(tone(0.5), (RATE // 2, RATE // 4)))
    assert found.leading_silence_seconds == pytest.approx(0.5, abs=0.03)
    assert found.trimmed_seconds == pytest.approx(1.0, abs=0.06)
    assert found.silence_fraction == pytest.approx(0.75 / 1.75, abs=0.03)


@pytest.mark.parametrize("planted", [0.0, 5.0, 10.0, 15.0, 20.0, 25.0])
def test_the_signal_to_noise_ratio_of_speech_in_noise(planted: float) -> None:
    found = [measured(with_noise(speech(n, 3.0, -90), planted)).snr_db for n in range(8)]
    errors = np.array(found, float) - planted
    assert abs(errors.mean()) < 1.5
    assert np.abs(errors).max() < 3


def test_digital_silence_says_nothing_of_the_noise() -> None:
    noisy = with_noise(speech(1, 3.0, -90), 10)
    whole = measured(noisy).snr_db
    assert whole is not None
    assert measured(np.pad(noisy, RATE)).snr_db == pytest.approx(whole, abs=0.5)
    assert measured(tone(0.5, 0.05)).snr_db is None


def test_every_utterance_has_a_row_whatever_its_format(tmp_path: Path) -> None:
    rows = [
        {"file": f"{n}.wav", "wave": speech(n), "rate": rate, "speaker": "a", "emotion": "x"}
        for n, rate in enumerate([8_000, 16_000, 44_100])
    ]
    corpus = write_corpus(tmp_path, rows)
    one = measure_shard(recordings_of(corpus), tmp_path)
    two = measure_shard(recordings_of(corpus), tmp_path, threads=2)
    assert one.equals(two)
    assert one["utterance"].to_list() == ["0", "1", "2"]
    write_table(one, tmp_path / "measured.parquet", MEASURED)
    assert read_table(tmp_path / "measured.parquet", MEASURED).equals(one)


def test_a_recording_that_has_changed_since_is_not_measured(tmp_path: Path) -> None:
    row = {"file": "0.wav", "wave": speech(0), "rate": RATE, "speaker": "a", "emotion": "x"}
    recordings = recordings_of(write_corpus(tmp_path, [row]))
    write_corpus(tmp_path, [{**row, "wave": speech(1)}])
    with pytest.raises(AudioError, match=r"0\.wav: 0 is not what it was when the corpus was read"):
        measure_shard(recordings, tmp_path)
