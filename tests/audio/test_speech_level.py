"""Active speech level against the algorithm of ITU-T P.56."""

from __future__ import annotations

import numpy as np
import pytest

from emoscale.audio.speech_level import active_speech_rms
from emoscale.representations.contract import Waveform
from tests.audio.signals import decibels, root_mean_square, speech_like


def reference_level_db(waveform: Waveform) -> float:
    """Level in dB by the algorithm of ITU-T P.56 (12/2011), clause 7.2 (method B), per sample."""
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
        for index, threshold in enumerate(thresholds):
            if q >= threshold:
                active[index] += 1
                hang[index] = 0
            elif hang[index] < hangover:
                active[index] += 1
                hang[index] += 1
    levels = 10 * np.log10(np.sum(samples**2) / np.array(active))
    margins = levels - 20 * np.log10(thresholds)
    return float(np.interp(margin, margins, levels))


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_level_matches_the_algorithm_of_the_standard(seed: int) -> None:
    speech = speech_like(1.5, seed)
    assert decibels(active_speech_rms(speech)) == pytest.approx(
        reference_level_db(speech), abs=1e-6
    )


def test_without_pauses_it_is_the_root_mean_square() -> None:
    noise = np.random.default_rng(0).standard_normal(48_000).astype(np.float32)
    # The envelope rises during the first 0.1 s, which counts as a pause.
    assert decibels(active_speech_rms(noise) / root_mean_square(noise)) == pytest.approx(0, abs=0.2)


def test_surrounding_silence_hardly_changes_the_level() -> None:
    speech = speech_like(2.0)
    padded = np.pad(speech, (16_000, 32_000))
    assert abs(decibels(active_speech_rms(padded) / active_speech_rms(speech))) < 0.5
    assert decibels(root_mean_square(padded) / root_mean_square(speech)) < -3.9


def test_level_scales_with_the_waveform() -> None:
    speech = speech_like()
    assert active_speech_rms(4 * speech) == pytest.approx(4 * active_speech_rms(speech), rel=1e-6)


def test_clicks_and_digital_silence_have_a_level() -> None:
    click = np.zeros(1600, np.float32)
    click[800] = 1.0
    assert 0 < active_speech_rms(click) < 1
    assert active_speech_rms(np.zeros(1600, np.float32)) == 0.0
