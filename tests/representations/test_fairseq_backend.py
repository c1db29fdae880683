"""How waveforms go to another program and frames come back, with a stand-in for fairseq."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emoscale.config.representations import VqWav2VecSettings
from emoscale.representations import fairseq_backend
from emoscale.representations.contract import Representation
from emoscale.representations.registry import build_original, build_representation
from emoscale.runtime.errors import CheckpointError, ConfigurationError
from tests.representations.test_wav2vec import REFERENCES

SETTINGS = VqWav2VecSettings(
    kind="vq_wav2vec", checkpoint=str(REFERENCES / "vq_kmeans.pt"), backend="fairseq"
)
STAND_IN = """
import os, sys
import numpy as np
assert "PYTHONPATH" not in os.environ
asked = dict(zip(sys.argv[1::2], sys.argv[2::2]))
assert asked["--checkpoint"].endswith("vq_kmeans.pt") and asked["--output"] == "codes"
given = np.load(asked["--waveforms"])
if any(len(given[key]) < 3 for key in given):
    print("a warning", file=sys.stderr)
    sys.exit("Error: 0 has 2 samples, fewer than the 3 of one frame")
np.savez(asked["--result"], **{key: given[key][::2].astype("int16") for key in given.files})
"""


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Representation:
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    monkeypatch.setattr(fairseq_backend, "FAIRSEQ_PROGRAM", tmp_path / "stand_in.py")
    return build_original(build_representation(SETTINGS), SETTINGS, sys.executable)


def test_frames_come_back_in_the_batchs_order(backend: Representation) -> None:
    batch = [np.arange(length, dtype=np.float32) for length in (5, 3, *range(4, 14))]
    for waveform, frames in zip(batch, backend.extract(batch), strict=True):
        np.testing.assert_array_equal(frames, waveform[::2])


def test_it_is_what_the_native_one_says(backend: Any) -> None:
    native: Any = build_representation(SETTINGS)
    for name in ("modality", "dimension", "frame_rate", "dtype", "checkpoint_sha256"):
        assert getattr(backend, name) == getattr(native, name)
    np.testing.assert_array_equal(backend.codebook, native.codebook)
    assert backend.batch_seconds > 100


def test_what_the_program_says_is_said(
    backend: Representation, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CheckpointError, match=r"^fairseq: 0 has 2 samples, fewer than the 3 of"):
        backend.extract([np.zeros(2, np.float32)])
    assert "a warning" in capsys.readouterr().err


def test_a_python_that_cannot_compute_is_a_sentence() -> None:
    native = build_representation(SETTINGS)
    waveforms = [np.zeros(1_000, np.float32)]
    with pytest.raises(CheckpointError, match=r"has no fairseq; make its environment .*yaml"):
        build_original(native, SETTINGS, sys.executable).extract(waveforms)
    with pytest.raises(ConfigurationError, match=r"^no/python cannot be run \(No such file"):
        build_original(native, SETTINGS, "no/python").extract(waveforms)
    with pytest.raises(ConfigurationError, match="needs a Python that has fairseq"):
        build_original(native, SETTINGS, None)
