"""Errors of the program that runs fairseq, each a one-line message."""

from __future__ import annotations

import argparse
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.fairseq.backend import needs_fairseq, run_backend

pytestmark = needs_fairseq

CHECKPOINT = Path(__file__).parent.parent / "representations" / "wav2vec_references" / "plain.pt"


@pytest.fixture
def waveforms(tmp_path: Path) -> Path:
    path = tmp_path / "in.npz"
    np.savez(path, first=np.zeros(465, dtype=np.float32))
    return path


def error_message(checkpoint: Path, output: str, waveforms: Path, folder: Path) -> str:
    """Return the error message of a run, which must not write any file."""
    before = set(folder.iterdir())
    process = run_backend(checkpoint, output, waveforms, folder / "out.npz")
    assert process.returncode == 1
    assert set(folder.iterdir()) == before
    (message,) = [line for line in process.stderr.splitlines() if line.startswith("Error: ")]
    assert "Traceback" not in process.stderr
    return message


class Malicious:
    """Object whose unpickling executes code."""

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self._folder,)


def bare_pickle(path: Path, pwned: Path) -> None:
    with open(path, "wb") as file:
        pickle.dump({"args": Malicious(pwned), "model": {}}, file, protocol=2)


def saved_by_torch(path: Path, pwned: Path) -> None:
    torch.save({"args": Malicious(pwned), "model": {}}, path)


def saved_by_old_torch(path: Path, pwned: Path) -> None:
    content = {"args": Malicious(pwned), "model": {}}
    torch.save(content, path, _use_new_zipfile_serialization=False)


def torchscript(path: Path, pwned: Path) -> None:
    torch.save({"args": Malicious(pwned)}, path)
    with zipfile.ZipFile(path, "a") as archive:
        root = archive.namelist()[0].split("/")[0]
        archive.writestr(f"{root}/constants.pkl", b"")


def executable_layers(path: Path, pwned: Path) -> None:
    with torch.serialization.safe_globals([argparse.Namespace]):
        content = torch.load(CHECKPOINT, weights_only=True)
    content["args"].conv_feature_layers = f"__import__('os').mkdir({str(pwned)!r})"
    torch.save(content, path)


@pytest.mark.parametrize(
    ("write", "expected"),
    [
        (bare_pickle, "is refused: it contains posix.mkdir"),
        (saved_by_torch, "is refused: it contains posix.mkdir, but only weights and arguments"),
        (saved_by_old_torch, "is refused: it contains posix.mkdir"),
        (torchscript, "is refused: it is a TorchScript program"),
        (executable_layers, "are not supported"),
    ],
)
def test_malicious_files_are_not_executed(
    tmp_path: Path, waveforms: Path, write: Callable[[Path, Path], None], expected: str
) -> None:
    write(tmp_path / "bad.pt", tmp_path / "pwned")
    assert expected in error_message(tmp_path / "bad.pt", "z", waveforms, tmp_path)


def test_other_files_are_refused(tmp_path: Path, waveforms: Path) -> None:
    assert "no.pt does not exist" in error_message(tmp_path / "no.pt", "z", waveforms, tmp_path)
    (tmp_path / "cut.pt").write_bytes(CHECKPOINT.read_bytes()[:5_000])
    assert "is damaged or not" in error_message(tmp_path / "cut.pt", "z", waveforms, tmp_path)
    torch.save({"model": {}}, tmp_path / "other.pt")
    assert "is not a fairseq checkpoint" in error_message(
        tmp_path / "other.pt", "z", waveforms, tmp_path
    )
    with torch.serialization.safe_globals([argparse.Namespace]):
        content = torch.load(CHECKPOINT, weights_only=True)
    content["model"].pop("feature_extractor.conv_layers.0.0.weight")
    torch.save(content, tmp_path / "less.pt")
    expected = "less.pt is of another architecture: it lacks feature_extractor.conv_layers.0.0"
    assert expected in error_message(tmp_path / "less.pt", "z", waveforms, tmp_path)


def test_invalid_outputs_and_waveforms(tmp_path: Path, waveforms: Path) -> None:
    assert "has no quantiser" in error_message(CHECKPOINT, "codes", waveforms, tmp_path)
    np.savez(waveforms, long=np.zeros(465, np.float32), short=np.zeros(464, np.float32))
    expected = "short has 464 samples, fewer than the 465 of one frame"
    assert expected in error_message(CHECKPOINT, "z", waveforms, tmp_path)
    np.savez(waveforms, double=np.zeros(465))
    assert "double is not a float32 waveform" in error_message(CHECKPOINT, "z", waveforms, tmp_path)
    waveforms.write_text("no archive")
    assert "in.npz cannot be read" in error_message(CHECKPOINT, "z", waveforms, tmp_path)
