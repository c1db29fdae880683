"""Signal-to-noise ratio and spectrum of added noise."""

from __future__ import annotations

import numpy as np
import pytest

from emoscale.audio.noise import add_noise, white_noise
from emoscale.audio.speech_level import active_speech_rms
from tests.audio.signals import decibels, root_mean_square, speech_like


@pytest.mark.parametrize("snr_db", [20.0, 10.0, 0.0, -5.0])
def test_snr_is_as_requested(snr_db: float) -> None:
    speech = speech_like()
    noise = 7.0 * white_noise(len(speech), np.random.default_rng(1))
    noisy = add_noise(speech, noise, snr_db)
    assert noisy.dtype == np.float32
    assert len(noisy) == len(speech)
    added = noisy.astype(np.float64) - speech
    ratio = active_speech_rms(speech) / float(np.sqrt(np.mean(added**2)))
    assert decibels(ratio) == pytest.approx(snr_db, abs=1e-3)
    assert np.corrcoef(added, noise)[0, 1] == pytest.approx(1.0, abs=1e-6)


def test_white_noise_has_a_flat_spectrum() -> None:
    power = np.abs(np.fft.rfft(white_noise(160_000, np.random.default_rng(2)))) ** 2
    bands = power[1:].reshape(8, -1).mean(axis=1)
    assert bands / bands.mean() == pytest.approx(np.ones(8), abs=0.06)


def test_sums_are_not_clipped() -> None:
    speech = speech_like() * 5
    noise = white_noise(len(speech), np.random.default_rng(3))
    assert np.abs(add_noise(speech, noise, -10.0)).max() > 5
    assert root_mean_square(add_noise(speech, 0 * noise, 0.0)) == root_mean_square(speech)
