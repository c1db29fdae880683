from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from emoscale.audio.channels import mu_law, over_telephone
from emoscale.audio.speech_level import active_level
from tests.audio.signals import speech_like


def test_the_codec_is_that_of_libsndfile(tmp_path: Path) -> None:
    """libsndfile keeps 14 of the 16 bits before it looks the code up, so some differ by a step."""
    pcm = np.arange(-32_768, 32_768).astype(np.int16)
    soundfile.write(tmp_path / "coded.wav", pcm, 8000, subtype="ULAW")
    reference, _ = soundfile.read(tmp_path / "coded.wav", dtype="int16")
    ours = np.rint(mu_law(pcm / 32_768) * 32_768).astype(int)
    assert set(ours) == set(reference.astype(int))  # the same 255 levels
    assert np.mean(ours == reference) > 0.98


def test_quantising_again_changes_nothing() -> None:
    once = mu_law(np.linspace(-1, 1, 1001))
    assert (mu_law(once) == once).all()
    assert np.abs(mu_law(np.array([1e-3, 0.1, 0.9])) / [1e-3, 0.1, 0.9] - 1).max() < 0.07


def test_what_is_outside_of_the_band_is_gone_and_what_is_inside_stays() -> None:
    noise = np.random.default_rng(8).standard_normal(160_000, dtype=np.float32)
    heard = over_telephone(noise)
    frequency = np.fft.rfftfreq(len(noise), 1 / 16_000)
    power = np.abs(np.fft.rfft(heard)) ** 2

    def mean_db(low: float, high: float) -> float:
        return float(10 * np.log10(power[(frequency >= low) & (frequency < high)].mean()))

    inside = mean_db(500, 3000)
    assert abs(mean_db(400, 600) - mean_db(2500, 3000)) < 1
    for low, high in ((20, 150), (4100, 8000)):
        assert mean_db(low, high) < inside - 25
    assert mean_db(290, 310) == pytest.approx(inside - 6, abs=1.5)


def test_it_is_as_long_as_loud_and_not_delayed() -> None:
    for samples in (32_001, 4001):
        speech = speech_like(3.0)[:samples]
        heard = over_telephone(speech)
        assert heard.dtype == np.float32
        assert len(heard) == samples
        assert active_level(heard) == pytest.approx(active_level(speech), rel=1e-5)
        shifts = [np.dot(heard[s : s + 3900], speech[50:3950]) for s in range(100)]
        assert int(np.argmax(shifts)) == 50


def test_the_level_of_the_recording_does_not_matter() -> None:
    speech = speech_like(1.0)
    soft = over_telephone((speech / 64).astype(np.float32))
    assert 64 * soft == pytest.approx(over_telephone(speech), abs=1e-4)
