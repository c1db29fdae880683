"""Log-mel and MFCC against scipy, independence of the batch, raw samples, external classes."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.fft
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

from emoscale.config.representations import (
    ExternalSettings,
    LogMelSettings,
    MfccSettings,
    WaveformSettings,
)
from emoscale.representations.contract import Representation
from emoscale.representations.registry import build_representation
from emoscale.runtime.errors import ConfigurationError

MFCC = build_representation(MfccSettings(kind="mfcc", deltas=2))
RAW = build_representation(WaveformSettings(kind="waveform"))
LOGMEL = build_representation(LogMelSettings(kind="logmel"))


def noise(seconds: float, seed: int = 1) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return (0.1 * generator.normal(size=round(16_000 * seconds))).astype(np.float32)


def mel_filters(bands: int, bins: int) -> np.ndarray:
    """Return triangular filters ``[bins, bands]`` on the HTK mel scale (The HTK Book)."""
    mel = np.linspace(0, 2595 * np.log10(1 + 8000 / 700), bands + 2)
    edges = 700 * (10 ** (mel / 2595) - 1)
    frequencies = np.linspace(0, 8000, bins)[:, None]
    rising = (frequencies - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - frequencies) / (edges[2:] - edges[1:-1])
    return np.maximum(0, np.minimum(rising, falling))


def test_log_mel_against_the_definition() -> None:
    waveform = noise(0.5).astype(np.float64)
    padded = np.pad(waveform, 256, mode="reflect")
    window = np.zeros(512)
    window[56:456] = scipy.signal.get_window("hann", 400)
    frames = np.lib.stride_tricks.sliding_window_view(padded, 512)[::160]
    power = np.abs(np.fft.rfft(frames * window)) ** 2
    expected = np.log(power @ mel_filters(80, 257) + 1e-6)
    (actual,) = LOGMEL.extract([waveform.astype(np.float32)])
    np.testing.assert_allclose(actual.astype(np.float64), expected, atol=0.01)


def test_mfcc_is_the_cosine_transform_of_log_mel() -> None:
    (mel,), (mfcc,) = LOGMEL.extract([noise(1.0)]), MFCC.extract([noise(1.0)])
    expected = scipy.fft.dct(mel.astype(np.float64), norm="ortho")[:, :40]
    np.testing.assert_allclose(mfcc[:, :40].astype(np.float64), expected, atol=0.05)
    frames = mfcc[:, :40].astype(float)
    delta = (frames[6] - frames[4] + 2 * (frames[7] - frames[3])) / 10
    np.testing.assert_allclose(mfcc[5, 40:80].astype(float), delta, atol=0.02)


@pytest.mark.parametrize("representation", [MFCC, LOGMEL], ids=["mfcc", "logmel"])
@settings(max_examples=25)
@given(lengths=st.lists(st.integers(480, 12_000), min_size=1, max_size=6), seed=st.integers(0, 99))
def test_an_utterance_does_not_depend_on_its_batch(
    representation: Representation, lengths: list[int], seed: int
) -> None:
    batch = [noise(length / 16_000, seed + index) for index, length in enumerate(lengths)]
    batch = [waveform * 10.0 ** (index - 2) for index, waveform in enumerate(batch)]
    batched = representation.extract(batch)
    for waveform, frames in zip(batch, batched, strict=True):
        (single,) = representation.extract([waveform])
        assert frames.dtype == np.float16
        assert frames.shape == (len(waveform) // 160 + 1, representation.dimension)
        assert np.array_equal(frames, single)


def test_dimensions_and_rates() -> None:
    for deltas in (0, 1, 2):
        settings = MfccSettings(kind="mfcc", coefficients=13, deltas=deltas)
        mfcc = build_representation(settings)
        assert mfcc.dimension == 13 * (deltas + 1)
        assert mfcc.extract([noise(0.3)])[0].shape[1] == mfcc.dimension
    logmel = build_representation(LogMelSettings(kind="logmel", hop_seconds=0.02, mel_bands=40))
    assert (logmel.frame_rate, logmel.dimension) == (50.0, 40)


class Loudness:
    """External representation with an option."""

    modality = "audio"
    dimension = 1
    frame_rate = 100.0
    dtype = "float32"

    def __init__(self, scale: float = 1.0) -> None:
        self.scale = scale

    def extract(self, batch: list[np.ndarray]) -> list[np.ndarray]:
        hops = [np.abs(waveform[: len(waveform) // 160 * 160]) for waveform in batch]
        return [self.scale * hop.reshape(-1, 160, 1).mean(axis=1) for hop in hops]


def test_an_external_representation() -> None:
    representation = build_representation(
        ExternalSettings(kind=f"{Loudness.__module__}:Loudness", options={"scale": 2.0})
    )
    assert representation.extract([noise(0.1)])[0].shape == (10, 1)


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        ("no.such.module:Class", {}, "No module named"),
        ("emoscale.audio.decoding:Nothing", {}, "no attribute 'Nothing'"),
        ("emoscale.audio.decoding:Recording", {"colour": 1}, "unexpected keyword argument"),
        ("pathlib:Path", {}, "does not implement the interface"),
    ],
)
def test_an_invalid_external_class_is_reported(
    kind: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        build_representation(ExternalSettings(kind=kind, options=options))


def test_cepstral_mean_normalisation_removes_a_constant_gain() -> None:
    representation = build_representation(
        MfccSettings(kind="mfcc", cepstral_mean_normalisation=True, deltas=1)
    )
    quiet, loud = representation.extract([noise(1.0), 4 * noise(1.0)])
    np.testing.assert_allclose(quiet[:, :40].astype(float).mean(axis=0), 0, atol=0.01)
    np.testing.assert_allclose(quiet.astype(float), loud.astype(float), atol=0.05)


@given(st.lists(st.integers(-32_767, 32_767), min_size=1, max_size=200))
def test_16_bit_samples_are_reproduced_exactly(samples: list[int]) -> None:
    waveform = (np.array(samples, dtype=np.float64) / 32_767).astype(np.float32)
    (frames,) = RAW.extract([waveform])
    assert frames.dtype == np.int16
    assert frames[:, 0].tolist() == samples


def test_samples_beyond_full_scale_are_clipped() -> None:
    (frames,) = RAW.extract([np.array([1.5, -1.5, 0.0], dtype=np.float32)])
    assert frames[:, 0].tolist() == [32_767, -32_767, 0]
    assert (RAW.dimension, RAW.frame_rate) == (1, 16_000.0)
