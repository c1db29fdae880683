"""`scripts/clean.py` removes outputs that the configuration no longer creates, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.audit.speech import write_corpus
from tests.conftest import PROJECT
from tests.workflow.small_study import ROWS, environment, write_config
from tests.workflow.small_study import STUDY as SMALL

PRETRAINED = {
    "pretrain": "wav2vec",
    "speech": {"reader": "folder", "root": "recordings"},
    "steps": 1000,
}
STUDY = {
    **SMALL,
    "checkpoints": {"learned": PRETRAINED, "unused": PRETRAINED},
    "representations": {
        **SMALL["representations"],
        "learned": {"kind": "wav2vec", "checkpoint": "learned"},
    },
    "experiments": {
        **SMALL["experiments"],
        "learned": {"representations": ["learned"], "model": "svm"},
    },
}
"""One pre-trained checkpoint is used, the other is listed only."""

STALE = {
    "features/old/00.h5",
    "features/mfcc/07.h5",  # from a study with more shards
    "runs/mfcc/fold9/all/run.json",
    "logs/extract_features/old/00.log",
    "checkpoints/old.json",
    "checkpoints/old/model/wav2vec.pt",
    "checkpoints/old/model/.snakemake_timestamp",
    "checkpoints/old/speech.parquet",
    ".pretraining/old.pt",
}
CURRENT = {
    "features/mfcc/00.h5",
    "runs/mfcc/fold1/all/predictions.parquet",
    "runs/mfcc/fold1/all/.cache",
    "logs/extract_features/mfcc/00.log",
    "checkpoints/learned.json",
    "checkpoints/learned/model/wav2vec.pt",
    "checkpoints/learned/history.parquet",
    "checkpoints/unused/model/wav2vec.pt",
    ".pretraining/learned.pt",
    ".pretraining/unused.pt",
    "corpus/notes.txt",
    "thoughts.txt",
}


@pytest.fixture
def study(tmp_path: Path) -> Path:
    write_corpus(tmp_path / "recordings", ROWS)
    write_config(tmp_path, STUDY)
    for name in STALE | CURRENT:
        path = tmp_path / "results" / "small" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("something")
    return tmp_path


def clean(folder: Path, answer: str, *options: str) -> subprocess.CompletedProcess:
    program = [sys.executable, str(PROJECT / "scripts" / "clean.py")]
    return subprocess.run(
        [*program, "--configfile", "config/small.yaml", *options],
        cwd=folder,
        env=environment(),
        input=answer,
        capture_output=True,
        text=True,
    )


def files(folder: Path) -> set[str]:
    """List the result files, without the digests that planning writes."""
    results = folder / "results" / "small"
    names = {str(path.relative_to(results)) for path in results.rglob("*") if path.is_file()}
    return names - {f"corpus/{name}.json" for name in ("digests", "file_digests", "speech_digests")}


@pytest.mark.slow
def test_stale_files_are_removed_after_confirmation(study: Path) -> None:
    assert clean(study, "n\n").returncode == 1
    assert files(study) == STALE | CURRENT
    ran = clean(study, "y\n")
    assert ran.returncode == 0, ran.stderr
    assert files(study) == CURRENT
    assert not (study / "results" / "small" / "features" / "old").exists()
    assert not (study / "results" / "small" / "checkpoints" / "old").exists()
    assert "nothing to remove" in clean(study, "").stdout


def test_a_dry_run_lists_stale_files(study: Path) -> None:
    ran = clean(study, "", "--dry-run")
    assert ran.returncode == 0, ran.stderr
    assert files(study) == STALE | CURRENT
    assert "1 files  results/small/features/old" in ran.stdout


def test_targets_of_links_stay(study: Path) -> None:
    outside = study / "elsewhere"
    outside.mkdir()
    (outside / "00.h5").write_text("something")
    link = study / "results" / "small" / "features" / "link.h5"
    link.symlink_to(outside / "00.h5")
    (study / "results" / "small" / "checkpoints" / "linked").symlink_to(outside)
    assert clean(study, "y\n").returncode == 0
    assert link.is_symlink()
    assert (outside / "00.h5").exists()


def test_nothing_is_removed_when_planning_fails(study: Path) -> None:
    config = {**STUDY, "experiments": {"mfcc": {"representations": ["none"], "model": "svm"}}}
    write_config(study, config)
    ran = clean(study, "y\n")
    assert ran.returncode != 0
    assert "none" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert files(study) == STALE | CURRENT
