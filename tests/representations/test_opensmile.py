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

opensmile = pytest.importorskip("opensmile", reason="openSMILE is an extra, for research only")

KINDS = [
    ("eGeMAPSv02", "frames", 25),
    ("eGeMAPSv02", "functionals", 88),
    ("ComParE_2016", "frames", 65),
    ("ComParE_2016", "functionals", 6373),
]


@pytest.mark.parametrize(("feature_set", "level", "dimension"), KINDS)
def test_sets_and_levels(feature_set: str, level: str, dimension: int) -> None:
    settings = OpensmileSettings.model_validate(
        {"kind": "opensmile", "feature_set": feature_set, "feature_level": level}
    )
    made = build_representation(settings)
    batch = [noise(1.0, 1), 5 * noise(0.1, 2), noise(2.5, 3)]
    together = made.extract(batch)
    assert made.dimension == dimension
    for waveform, frames in zip(batch, together, strict=True):
        (alone,) = made.extract([waveform])
        assert np.array_equal(frames, alone)  # nothing is carried from one utterance to the next
        assert frames.dtype == np.float32
        assert np.isfinite(frames.astype(float)).all()
        assert frames.shape[1] == dimension
        assert (len(frames) == 1) == (level == "functionals")


def test_pitch_and_loudness_are_in_it() -> None:
    made = build_representation(OpensmileSettings(kind="opensmile"))
    time = np.arange(32_000) / 16_000
    orders = np.arange(1, 20)[:, None]
    buzz = (np.sin(2 * np.pi * 220 * orders * time) / orders).sum(axis=0)
    quiet, loud = made.extract([(0.01 * buzz).astype(np.float32), (0.2 * buzz).astype(np.float32)])
    names = list(opensmile.Smile("eGeMAPSv02", "lld").feature_names)
    pitch = names.index("F0semitoneFrom27.5Hz_sma3nz")
    expected = 12 * np.log2(220 / 27.5)
    assert np.median(loud[20:-20, pitch].astype(float)) == pytest.approx(expected, abs=0.2)
    loudness = names.index("Loudness_sma3")
    assert loud[:, loudness].astype(float).mean() > 2 * quiet[:, loudness].astype(float).mean()


def test_without_the_package_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opensmile", None)
    with pytest.raises(ConfigurationError, match=r"licensed for research only; install it with"):
        opensmile_features.Opensmile(OpensmileSettings(kind="opensmile"))


def test_everything_else_works_without_it() -> None:
    program = (
        "import sys; sys.modules['opensmile'] = None\n"
        "from emoscale.config.representations import MfccSettings\n"
        "from emoscale.representations.registry import build_representation\n"
        "build_representation(MfccSettings(kind='mfcc'))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
