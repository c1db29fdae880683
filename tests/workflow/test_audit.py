"""A recording under two keys ends a run before anything is trained, and can be left out."""

from __future__ import annotations

import re
import shutil
from typing import Any

import numpy as np
import polars as pl
import pytest

from tests.audit.speech import speech, write_corpus
from tests.conftest import PROJECT
from tests.workflow.test_study import Checkout

STUDY: dict[str, Any] = {
    "study": "planted",
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
CHECKS = "results/planted/protocol/checks.json"


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """Three sessions; one recording of the first is in the third: quieter, later, at 44.1 kHz."""
    folder = tmp_path_factory.mktemp("planted")
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
    first = next(row for row in rows if row["file"] == "session1/F0.wav")
    copy = next(row for row in rows if row["file"] == "session3/F2.wav")
    copy["wave"], copy["rate"] = np.pad(0.5 * first["wave"], (1600, 0)), 44_100
    write_corpus(folder / "recordings", rows)
    return Checkout(folder)


def test_a_planted_copy_ends_the_run_before_anything_is_trained(planted: Checkout) -> None:
    ran = planted.run("--cores", "2", config=STUDY)
    assert ran.returncode != 0
    sentence = r"session1/F0 and session3/F2 are the same recording and are in the roles"
    assert re.search(sentence, ran.stdout)
    assert "Traceback" not in ran.stdout
    results = planted.folder / "results" / "planted"
    assert not (results / "runs").exists()
    audit = pl.read_parquet(results / "corpus" / "audit.parquet")
    assert audit.filter(severity="error")["subject"].to_list() == ["session1/F0"]
    page = (results / "audit.html").read_text()
    assert "session1/F0 and session3/F2 are the same recording" in page
    assert "1 finding must be mended before anything is trained" in page
    assert not re.search(r"(src|href)=", page)  # it opens offline


def test_what_is_left_out_by_name_breaks_nothing(planted: Checkout) -> None:
    config = {**STUDY, "labels": {**STUDY["labels"], "exclude": ["session3/F2"]}}
    measured = planted.folder / "results" / "planted" / "corpus" / "acoustics.parquet"
    before = measured.stat().st_mtime_ns
    ran = planted.run("--cores", "2", CHECKS, config=config)
    assert ran.returncode == 0, ran.stdout
    assert (planted.folder / CHECKS).exists()
    assert measured.stat().st_mtime_ns == before
    audit = pl.read_parquet(planted.folder / "results" / "planted" / "corpus" / "audit.parquet")
    assert set(audit["severity"]) == {"note"}
    assert "excluded by the study" in set(audit["finding"])


def test_a_name_that_is_none_is_a_sentence(planted: Checkout) -> None:
    config = {**STUDY, "labels": {**STUDY["labels"], "exclude": ["session3/F9"]}}
    ran = planted.run("--cores", "2", CHECKS, config=config)
    assert ran.returncode != 0
    assert "labels.exclude: session3/F9 is none of the corpus's usable utterances" in ran.stdout
