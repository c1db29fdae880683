"""`scripts/clean.py` removes outputs that the configuration no longer creates, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.audit.speech import write_corpus
from tests.conftest import PROJECT
from tests.workflow.small_study import ROWS, STUDY, environment, write_config

STALE = {
    "features/old/00.h5",
    "features/mfcc/07.h5",  # from a study with more shards
    "runs/mfcc/fold9/all/run.json",
    "logs/extract_features/old/00.log",
}
CURRENT = {
    "features/mfcc/00.h5",
    "runs/mfcc/fold1/all/predictions.parquet",
    "runs/mfcc/fold1/all/.cache",
    "logs/extract_features/mfcc/00.log",
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
    """List the result files, without the corpus digests that planning writes."""
    results = folder / "results" / "small"
    names = {str(path.relative_to(results)) for path in results.rglob("*") if path.is_file()}
    return names - {"corpus/digests.json", "corpus/file_digests.json"}


def test_stale_files_are_removed_after_confirmation(study: Path) -> None:
    assert clean(study, "n\n").returncode == 1
    assert files(study) == STALE | CURRENT
    ran = clean(study, "y\n")
    assert ran.returncode == 0, ran.stderr
    assert files(study) == CURRENT
    assert not (study / "results" / "small" / "features" / "old").exists()
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
    assert clean(study, "y\n").returncode == 0
    assert link.is_symlink()


def test_nothing_is_removed_when_planning_fails(study: Path) -> None:
    config = {**STUDY, "experiments": {"mfcc": {"representations": ["none"], "model": "svm"}}}
    write_config(study, config)
    ran = clean(study, "y\n")
    assert ran.returncode != 0
    assert "none" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert files(study) == STALE | CURRENT
