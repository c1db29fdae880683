from __future__ import annotations

import numpy as np
import pytest

from emoscale.audio.speech_level import active_level
from emoscale.representations.contract import Waveform
from tests.audio.signals import decibels, root_mean_square, speech_like


def level_by_counters(waveform: Waveform) -> float:
    """dB, by the counters of ITU-T P.56 (12/2011), clause 7.2 (method B), a sample at a time."""
    samples = waveform.astype(float)
    decay, hangover, margin = np.exp(-1 / (16_000 * 0.03)), 3200, 15.9
    p = q = 0.0
    envelope = []
    for sample in samples:
        p = decay * p + (1 - decay) * abs(sample)
        q = decay * q + (1 - decay) * p
        envelope.append(q)
    thresholds = max(envelope) * 2.0 ** -np.arange(1, 12)
    active, hang = [0] * len(thresholds), [hangover] * len(thresholds)
    for q in envelope:
        for place, threshold in enumerate(thresholds):
            if q >= threshold:
                active[place] += 1
                hang[place] = 0
            elif hang[place] < hangover:
                active[place] += 1
                hang[place] += 1
    levels = 10 * np.log10(np.sum(samples**2) / np.array(active))
    above = levels - 20 * np.log10(thresholds)
    return float(np.interp(margin, above, levels))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_is_what_the_standards_counters_give(seed: int) -> None:
    speech = speech_like(1.5, seed)
    assert decibels(active_level(speech)) == pytest.approx(level_by_counters(speech), abs=1e-6)


def test_of_sound_without_pauses_it_is_the_root_mean_square() -> None:
    noise = np.random.default_rng(0).standard_normal(48_000).astype(np.float32)
    # The envelope rises for 0.1 s at the start, which does not count.
    assert decibels(active_level(noise) / root_mean_square(noise)) == pytest.approx(0, abs=0.2)


def test_silence_around_the_speech_hardly_counts() -> None:
    speech = speech_like(2.0)
    padded = np.pad(speech, (16_000, 32_000))
    assert abs(decibels(active_level(padded) / active_level(speech))) < 0.5
    assert decibels(root_mean_square(padded) / root_mean_square(speech)) < -3.9


def test_twice_as_loud_is_twice_as_high() -> None:
    speech = speech_like()
    assert active_level(4 * speech) == pytest.approx(4 * active_level(speech), rel=1e-6)


def test_clicks_and_silence_have_a_level_too() -> None:
    click = np.zeros(1600, np.float32)
    click[800] = 1.0
    assert 0 < active_level(click) < 1
    assert active_level(np.zeros(1600, np.float32)) == 0.0
