"""Verification of pre-trained checkpoints; tests/workflow/test_verify.py verifies whole studies."""

from __future__ import annotations

from pathlib import Path

import pytest

from emoscale.config import parse_settings
from emoscale.config.checkpoints import PretrainedCheckpoint, UntrainedModel
from emoscale.config.representations import Wav2VecSettings
from emoscale.reporting import verification
from emoscale.reporting.verification import verify_study
from emoscale.representations.weights.local_checkpoint import (
    LocalCheckpoint,
    folder_sha256,
    write_checkpoint_record,
)
from emoscale.runtime.provenance import file_sha256
from emoscale.training.run_record import InputRecord

WEIGHTS = {"wav2vec": "learned/model/wav2vec.pt", "wav2vec2": "learned/model/model.safetensors"}


def write_checkpoint(folder: Path, pretrain: str) -> Path:
    """Write a checkpoint that is as a study pre-trains it; return its file of weights."""
    settings = parse_settings(PretrainedCheckpoint, {"pretrain": pretrain, "steps": 0}, "")
    path = folder / "checkpoints" / WEIGHTS[pretrain]
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    sha256 = file_sha256(path) if pretrain == "wav2vec" else folder_sha256(path.parent)
    checkpoint = LocalCheckpoint("learned", path, sha256, "")
    write_checkpoint_record(folder / "checkpoints" / "learned.json", checkpoint, settings)
    return path


@pytest.mark.parametrize("pretrain", WEIGHTS)
def test_pre_trained_weights_are_those_of_their_record(tmp_path: Path, pretrain: str) -> None:
    path = write_checkpoint(tmp_path, pretrain)
    assert verify_study(tmp_path).errors == []
    assert verify_study(tmp_path).checked == {"checkpoints": 1}
    path.write_bytes(b"others")
    (error,) = verify_study(tmp_path).errors
    assert error.endswith("is not the recorded checkpoint; remove the record and run again")


def test_missing_weights_are_an_error(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, "wav2vec").unlink()
    (error,) = verify_study(tmp_path).errors
    assert error.startswith("checkpoints.learned: ")
    assert error.endswith("wav2vec.pt does not exist")


def test_fetched_weights_are_not_looked_for(tmp_path: Path) -> None:
    checkpoint = LocalCheckpoint("tiny", tmp_path / "elsewhere", "0" * 64, "")
    settings = UntrainedModel(untrained="bert")
    (tmp_path / "checkpoints").mkdir()
    write_checkpoint_record(tmp_path / "checkpoints" / "tiny.json", checkpoint, settings)
    assert verify_study(tmp_path).errors == []


def test_a_run_has_the_weights_of_the_record(tmp_path: Path) -> None:
    sha256 = file_sha256(write_checkpoint(tmp_path, "wav2vec"))
    for name, recorded, count in (
        ("learned", sha256, 0),
        ("learned", "0" * 64, 1),
        ("w.pt", "0" * 64, 0),
    ):
        settings = Wav2VecSettings(kind="wav2vec", checkpoint=name)
        features = InputRecord.model_construct(settings=settings, checkpoint_sha256=recorded)
        errors = list(verification._weights_errors(features, tmp_path))
        assert len(errors) == count
        assert all("was trained with other weights than those of" in each for each in errors)
