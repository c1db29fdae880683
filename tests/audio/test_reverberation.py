from __future__ import annotations

import numpy as np
import pytest

from emoscale.audio.channels import impulse_response, reverberate
from emoscale.audio.speech_level import active_level
from tests.audio.signals import speech_like


@pytest.mark.parametrize("seconds", [0.3, 0.6, 1.2])
def test_the_tail_dies_in_the_time_asked_for(seconds: float) -> None:
    """By backward integration (Schroeder 1965), from -5 to -35 dB: T30 of ISO 3382-1."""
    response = impulse_response(seconds, np.random.default_rng(4)).astype(np.float64)
    left = np.cumsum(response[::-1] ** 2)[::-1]
    decay = 10 * np.log10(left / left[0])
    part = (decay <= -5) & (decay >= -35)
    slope = np.polyfit(np.flatnonzero(part) / 16_000, decay[part], 1)[0]
    assert -60 / slope == pytest.approx(seconds, rel=0.05)


def test_the_direct_sound_comes_at_once_with_half_of_the_energy() -> None:
    response = impulse_response(0.5, np.random.default_rng(5)).astype(np.float64)
    assert response[0] == 1.0
    assert np.sum(response[1:] ** 2) == pytest.approx(1.0, rel=1e-5)


def test_speech_in_a_room_is_as_long_as_loud_and_not_delayed() -> None:
    speech = speech_like(3.0)
    heard = reverberate(speech, 0.8, np.random.default_rng(6))
    assert heard.dtype == np.float32
    assert len(heard) == len(speech)
    assert active_level(heard) == pytest.approx(active_level(speech), rel=1e-5)
    shifts = [np.dot(heard[shift:], speech[: len(speech) - shift]) for shift in range(200)]
    assert int(np.argmax(shifts)) == 0
    pause = slice(3 * 1600 + 200, 4 * 1600)  # where nobody speaks, the room does
    assert np.abs(heard[pause]).mean() > 50 * np.abs(speech[pause]).mean()


def test_a_click_at_the_end_leaves_no_tail_at_the_start() -> None:
    speech = speech_like(1.0)
    speech[:8000] = 0
    assert np.abs(reverberate(speech, 1.0, np.random.default_rng(7))[:8000]).max() < 1e-6
