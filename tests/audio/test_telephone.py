"""Codec and frequency response of the telephone channel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from emoscale.audio.channels import apply_telephone_channel, mu_law_codec
from emoscale.audio.speech_level import active_speech_rms
from tests.audio.signals import speech_like


def test_codec_matches_libsndfile(tmp_path: Path) -> None:
    """libsndfile rounds to 14 of the 16 bits before coding, so some samples differ by a step."""
    pcm = np.arange(-32_768, 32_768).astype(np.int16)
    soundfile.write(tmp_path / "coded.wav", pcm, 8000, subtype="ULAW")
    reference, _ = soundfile.read(tmp_path / "coded.wav", dtype="int16")
    actual = np.rint(mu_law_codec(pcm / 32_768) * 32_768).astype(int)
    assert set(actual) == set(reference.astype(int))  # the same 255 levels
    assert np.mean(actual == reference) > 0.98


def test_codec_is_idempotent() -> None:
    coded = mu_law_codec(np.linspace(-1, 1, 1001))
    assert (mu_law_codec(coded) == coded).all()
    assert np.abs(mu_law_codec(np.array([1e-3, 0.1, 0.9])) / [1e-3, 0.1, 0.9] - 1).max() < 0.07


def test_passband_is_flat_and_stopbands_are_attenuated() -> None:
    noise = np.random.default_rng(8).standard_normal(160_000, dtype=np.float32)
    output = apply_telephone_channel(noise)
    frequency = np.fft.rfftfreq(len(noise), 1 / 16_000)
    power = np.abs(np.fft.rfft(output)) ** 2

    def mean_db(low: float, high: float) -> float:
        return float(10 * np.log10(power[(frequency >= low) & (frequency < high)].mean()))

    passband_db = mean_db(500, 3000)
    assert abs(mean_db(400, 600) - mean_db(2500, 3000)) < 1
    for low, high in ((20, 150), (4100, 8000)):
        assert mean_db(low, high) < passband_db - 25
    assert mean_db(290, 310) == pytest.approx(passband_db - 6, abs=1.5)


def test_telephone_speech_keeps_length_level_and_timing() -> None:
    for samples in (32_001, 4001):
        speech = speech_like(3.0)[:samples]
        output = apply_telephone_channel(speech)
        assert output.dtype == np.float32
        assert len(output) == samples
        assert active_speech_rms(output) == pytest.approx(active_speech_rms(speech), rel=1e-5)
        correlations = [np.dot(output[lag : lag + 3900], speech[50:3950]) for lag in range(100)]
        assert int(np.argmax(correlations)) == 50


def test_channel_is_independent_of_the_input_level() -> None:
    speech = speech_like(1.0)
    quiet = apply_telephone_channel((speech / 64).astype(np.float32))
    assert 64 * quiet == pytest.approx(apply_telephone_channel(speech), abs=1e-4)
