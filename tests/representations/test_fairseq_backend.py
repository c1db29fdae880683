"""Exchange of waveforms and frames with another process, which replaces fairseq here."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emoscale.config.representations import VqWav2VecSettings
from emoscale.representations import fairseq_backend
from emoscale.representations.contract import Representation
from emoscale.representations.registry import build_fairseq_representation, build_representation
from emoscale.runtime.errors import CheckpointError, ConfigurationError
from tests.representations.test_wav2vec import REFERENCES

SETTINGS = VqWav2VecSettings(
    kind="vq_wav2vec", checkpoint=str(REFERENCES / "vq_kmeans.pt"), backend="fairseq"
)
FAKE_BACKEND = """
import os, sys
import numpy as np
assert "PYTHONPATH" not in os.environ
options = dict(zip(sys.argv[1::2], sys.argv[2::2]))
assert options["--checkpoint"].endswith("vq_kmeans.pt") and options["--output"] == "codes"
arrays = np.load(options["--waveforms"])
if any(len(arrays[key]) < 3 for key in arrays):
    print("a warning", file=sys.stderr)
    sys.exit("Error: 0 has 2 samples, fewer than the 3 of one frame")
np.savez(options["--result"], **{key: arrays[key][::2].astype("int16") for key in arrays.files})
"""


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Representation:
    (tmp_path / "fake_backend.py").write_text(FAKE_BACKEND)
    monkeypatch.setattr(fairseq_backend, "FAIRSEQ_SCRIPT", tmp_path / "fake_backend.py")
    return build_fairseq_representation(build_representation(SETTINGS), SETTINGS, sys.executable)


def test_frames_are_in_the_order_of_the_batch(backend: Representation) -> None:
    batch = [np.arange(length, dtype=np.float32) for length in (5, 3, *range(4, 14))]
    for waveform, frames in zip(batch, backend.extract(batch), strict=True):
        np.testing.assert_array_equal(frames, waveform[::2])


def test_attributes_equal_those_of_the_native_backend(backend: Any) -> None:
    native: Any = build_representation(SETTINGS)
    for name in ("modality", "dimension", "frame_rate", "dtype", "checkpoint_sha256"):
        assert getattr(backend, name) == getattr(native, name)
    np.testing.assert_array_equal(backend.codebook, native.codebook)
    assert backend.batch_seconds > 100


def test_message_of_the_process_is_reported(
    backend: Representation, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CheckpointError, match=r"^fairseq: 0 has 2 samples, fewer than the 3 of"):
        backend.extract([np.zeros(2, np.float32)])
    assert "a warning" in capsys.readouterr().err


def test_message_for_a_python_without_fairseq() -> None:
    native = build_representation(SETTINGS)
    waveforms = [np.zeros(1_000, np.float32)]
    with pytest.raises(CheckpointError, match=r"has no fairseq; create its environment .*yaml"):
        build_fairseq_representation(native, SETTINGS, sys.executable).extract(waveforms)
    with pytest.raises(ConfigurationError, match=r"^no/python cannot be run \(No such file"):
        build_fairseq_representation(native, SETTINGS, "no/python").extract(waveforms)
    with pytest.raises(ConfigurationError, match="requires a Python interpreter with fairseq"):
        build_fairseq_representation(native, SETTINGS, None)
