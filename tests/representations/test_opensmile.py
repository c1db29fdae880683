"""openSMILE features: dimensions, independence of the batch, and the optional dependency."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from emoscale.config.representations import OpensmileSettings
from emoscale.representations import opensmile_features
from emoscale.representations.registry import build_representation
from emoscale.runtime.errors import ConfigurationError
from tests.representations.test_acoustic import noise

opensmile = pytest.importorskip("opensmile", reason="openSMILE is optional, for research only")

FEATURE_SETS = [
    ("eGeMAPSv02", "frames", 25),
    ("eGeMAPSv02", "functionals", 88),
    ("ComParE_2016", "frames", 65),
    ("ComParE_2016", "functionals", 6373),
]


@pytest.mark.parametrize(("feature_set", "feature_level", "dimension"), FEATURE_SETS)
def test_feature_sets_and_levels(feature_set: str, feature_level: str, dimension: int) -> None:
    settings = OpensmileSettings.model_validate(
        {"kind": "opensmile", "feature_set": feature_set, "feature_level": feature_level}
    )
    representation = build_representation(settings)
    batch = [noise(1.0, 1), 5 * noise(0.1, 2), noise(2.5, 3)]
    batched = representation.extract(batch)
    assert representation.dimension == dimension
    for waveform, frames in zip(batch, batched, strict=True):
        (single,) = representation.extract([waveform])
        assert np.array_equal(frames, single)  # no state is carried over between utterances
        assert frames.dtype == np.float32
        assert np.isfinite(frames.astype(float)).all()
        assert frames.shape[1] == dimension
        assert (len(frames) == 1) == (feature_level == "functionals")


def test_pitch_and_loudness_follow_the_signal() -> None:
    representation = build_representation(OpensmileSettings(kind="opensmile"))
    time = np.arange(32_000) / 16_000
    harmonics = np.arange(1, 20)[:, None]
    sawtooth = (np.sin(2 * np.pi * 220 * harmonics * time) / harmonics).sum(axis=0)
    batch = [(gain * sawtooth).astype(np.float32) for gain in (0.01, 0.2)]
    quiet, loud = representation.extract(batch)
    names = list(opensmile.Smile("eGeMAPSv02", "lld").feature_names)
    pitch = names.index("F0semitoneFrom27.5Hz_sma3nz")
    expected = 12 * np.log2(220 / 27.5)
    assert np.median(loud[20:-20, pitch].astype(float)) == pytest.approx(expected, abs=0.2)
    loudness = names.index("Loudness_sma3")
    assert loud[:, loudness].astype(float).mean() > 2 * quiet[:, loudness].astype(float).mean()


def test_a_missing_package_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opensmile", None)
    with pytest.raises(ConfigurationError, match=r"licensed for research only; install it with"):
        opensmile_features.Opensmile(OpensmileSettings(kind="opensmile"))


def test_other_representations_work_without_the_package() -> None:
    program = (
        "import sys; sys.modules['opensmile'] = None\n"
        "from emoscale.config.representations import MfccSettings\n"
        "from emoscale.representations.registry import build_representation\n"
        "build_representation(MfccSettings(kind='mfcc'))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
