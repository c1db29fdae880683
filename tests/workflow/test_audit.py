"""A duplicated recording stops a run before training, and can be excluded."""

from __future__ import annotations

import re
import shutil
import subprocess
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.audit.speech import speech, write_corpus
from tests.conftest import PROJECT
from tests.workflow.test_study import Checkout

STUDY: dict[str, Any] = {
    "study": "duplicate",
    "corpus": {"reader": "csv", "root": "recordings"},
    "shards": 1,
    "labels": {"classes": {"active": ["angry"], "calm": ["sad"]}},
    "representations": {"mfcc": {"kind": "mfcc", "coefficients": 13}},
    "protocol": {"fold_unit": "session", "folds": 3, "repeats": 1},
    "sizes": ["all"],
    "models": {"mean": {"kind": "pooled", "projection_size": 8}},
    "training": {"maximum_steps": 20, "steps_between_evaluations": 10},
    "experiments": {"mfcc": {"representations": ["mfcc"], "model": "mean"}},
}
CHECKS = "results/duplicate/protocol/checks.json"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Write three sessions; the third has a quieter, delayed copy of a recording of the first."""
    folder = tmp_path_factory.mktemp("duplicate")
    shutil.copy(PROJECT / "Snakefile", folder)
    for name in ("workflow", "scripts", "envs", "profiles"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    rows: list[dict[str, Any]] = [
        {
            "file": f"session{session}/{sex}{number}.wav",
            "wave": speech(100 * session + 10 * number + (sex == "M"), 1.0),
            "speaker": f"{session}{sex}",
            "sex": sex,
            "session": session,
            "emotion": ["angry", "sad"][number % 2],
        }
        for session in (1, 2, 3)
        for sex in "FM"
        for number in range(4)
    ]
    original = next(row for row in rows if row["file"] == "session1/F0.wav")
    copy = next(row for row in rows if row["file"] == "session3/F2.wav")
    copy["wave"], copy["rate"] = np.pad(0.5 * original["wave"], (1600, 0)), 44_100
    write_corpus(folder / "recordings", rows)
    return Checkout(folder)


@pytest.fixture(scope="module")
def stopped(checkout: Checkout) -> subprocess.CompletedProcess:
    """Run the study to the error of the audit."""
    return checkout.run("--cores", "2", config=STUDY)


def test_a_duplicate_stops_the_run_before_training(
    checkout: Checkout, stopped: subprocess.CompletedProcess
) -> None:
    assert stopped.returncode != 0
    message = r"session1/F0 and session3/F2 are the same recording and are in the roles"
    assert re.search(message, stopped.stdout)
    assert "Traceback" not in stopped.stdout
    results = checkout.folder / "results" / "duplicate"
    assert not (results / "runs").exists()
    audit = pl.read_parquet(results / "corpus" / "audit.parquet")
    assert audit.filter(severity="error")["subject"].to_list() == ["session1/F0"]
    page = (results / "audit.html").read_text()
    assert "session1/F0 and session3/F2 are the same recording" in page
    assert "1 error to correct before anything is trained" in page
    assert not re.search(r"(src|href)=", page)  # the page needs no network


@pytest.mark.slow
@pytest.mark.usefixtures("stopped")
def test_an_excluded_duplicate_stops_nothing(checkout: Checkout) -> None:
    config = {**STUDY, "labels": {**STUDY["labels"], "exclude": ["session3/F2"]}}
    measured = checkout.folder / "results" / "duplicate" / "corpus" / "acoustics.parquet"
    modified = measured.stat().st_mtime_ns
    ran = checkout.run("--cores", "2", CHECKS, config=config)
    assert ran.returncode == 0, ran.stdout
    assert (checkout.folder / CHECKS).exists()
    assert measured.stat().st_mtime_ns == modified
    audit = pl.read_parquet(checkout.folder / "results" / "duplicate" / "corpus" / "audit.parquet")
    assert set(audit["severity"]) == {"note"}
    assert "excluded by the study" in set(audit["finding"])


def test_excluding_an_unknown_utterance_is_reported(checkout: Checkout) -> None:
    config = {**STUDY, "labels": {**STUDY["labels"], "exclude": ["session3/F9"]}}
    ran = checkout.run("--cores", "2", CHECKS, config=config)
    assert ran.returncode != 0
    assert "labels.exclude: session3/F9 is not a usable utterance of the corpus" in ran.stdout
