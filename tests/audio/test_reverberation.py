"""Reverberation time, energy, level and timing of synthetic rooms."""

from __future__ import annotations

import numpy as np
import pytest

from emoscale.audio.channels import impulse_response, reverberate
from emoscale.audio.speech_level import active_speech_rms
from tests.audio.signals import speech_like


@pytest.mark.parametrize("seconds", [0.3, 0.6, 1.2])
def test_reverberation_time_is_as_requested(seconds: float) -> None:
    """T30 of ISO 3382-1: backward integration (Schroeder, 1965), fitted from -5 to -35 dB."""
    response = impulse_response(seconds, np.random.default_rng(4)).astype(np.float64)
    remaining = np.cumsum(response[::-1] ** 2)[::-1]
    decay_db = 10 * np.log10(remaining / remaining[0])
    fitted = (decay_db <= -5) & (decay_db >= -35)
    slope = np.polyfit(np.flatnonzero(fitted) / 16_000, decay_db[fitted], 1)[0]
    assert -60 / slope == pytest.approx(seconds, rel=0.05)


def test_direct_sound_has_no_delay_and_half_of_the_energy() -> None:
    response = impulse_response(0.5, np.random.default_rng(5)).astype(np.float64)
    assert response[0] == 1.0
    assert np.sum(response[1:] ** 2) == pytest.approx(1.0, rel=1e-5)


def test_reverberant_speech_keeps_length_level_and_timing() -> None:
    speech = speech_like(3.0)
    reverberant = reverberate(speech, 0.8, np.random.default_rng(6))
    assert reverberant.dtype == np.float32
    assert len(reverberant) == len(speech)
    assert active_speech_rms(reverberant) == pytest.approx(active_speech_rms(speech), rel=1e-5)
    correlations = [np.dot(reverberant[lag:], speech[: len(speech) - lag]) for lag in range(200)]
    assert int(np.argmax(correlations)) == 0
    pause = slice(3 * 1600 + 200, 4 * 1600)  # the reverberation fills the pause
    assert np.abs(reverberant[pause]).mean() > 50 * np.abs(speech[pause]).mean()


def test_reverberation_does_not_wrap_around() -> None:
    speech = speech_like(1.0)
    speech[:8000] = 0
    assert np.abs(reverberate(speech, 1.0, np.random.default_rng(7))[:8000]).max() < 1e-6
