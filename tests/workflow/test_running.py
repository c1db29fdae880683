"""Plan, status and cleaning of a finished small study."""

from __future__ import annotations

import base64
import copy
import json
from pathlib import Path
from typing import Any

import pytest

from tests.workflow.small_study import STUDY, finish, program, snakemake, write_config


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("running")
    finish(folder)
    return folder


def planned(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    path = write_config(folder, config, "planned")
    try:
        ran = program(folder, "plan.py", "--configfile", path, "--cores", "2", "--json")
    finally:
        path.unlink()
    assert ran.returncode == 0, ran.stderr
    plan: dict[str, Any] = json.loads(ran.stdout)
    return plan


def test_a_finished_study_has_nothing_to_run(finished: Path) -> None:
    ran = program(finished, "plan.py", "--configfile", "config/small.yaml")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "small: nothing to run; all 21 steps in results/small stand.\n"
    ran = program(finished, "status.py", "--configfile", "config/small.yaml")
    assert ran.stdout.startswith("small: 21 of 21 steps done (100 %)\nNo run is going on.\n")


def test_a_plan_says_what_changed_and_what_it_reaches(finished: Path) -> None:
    config = copy.deepcopy(STUDY)
    config["representations"]["mfcc"]["coefficients"] = 20
    config["labels"]["exclude"] = ["1F0"]
    plan = planned(finished, config)
    changes = {(change["what"], change["old"], change["new"]) for change in plan["changes"]}
    assert ("representations.mfcc.coefficients changed", "13", "20") in changes
    assert ("labels.exclude changed", "[]", '["1F0"]') in changes
    rules = {rule["rule"]: rule for rule in plan["rules"]}
    assert rules["extract_features"]["runs"] == 1
    assert rules["read_shard"]["runs"] == 0
    assert rules["read_shard"]["reused"] == 1
    assert rules["train"]["why"] == {"follows index_features, make_fold": 2}
    assert plan["estimate"]["rests_on"]["none"] == 0
    assert 0 < plan["estimate"]["seconds"] < plan["estimate"]["work_seconds"]
    assert plan["upper_bound"]


def test_a_failure_is_told_with_its_log(finished: Path) -> None:
    config = {**STUDY, "sizes": ["all", 5000]}
    path = write_config(finished, config, "failing")
    ran = snakemake(finished, path, "--", "results/small/protocol/checks.json")
    assert ran.returncode != 0
    # What a killed run leaves is Snakemake's mark for it.
    index = "results/small/features/mfcc/index.parquet"
    mark = finished / ".snakemake" / "incomplete" / base64.b64encode(index.encode()).decode()
    mark.touch()
    told = program(finished, "status.py", "--configfile", path)
    said = program(finished, "status.py", "--configfile", path, "--json")
    mark.unlink()
    path.unlink()
    assert told.returncode == 0, told.stderr
    assert "log: results/small/logs/check_protocol.log" in told.stdout
    status = json.loads(said.stdout)
    (failure,) = status["failures"]
    assert failure["step"] == "check_protocol"
    assert "5000" in failure["says"]
    rules = {rule["rule"]: rule for rule in status["rules"]}
    assert rules["check_protocol"]["failed"] == 1
    assert rules["index_features"]["interrupted"] == 1
    assert rules["train"] == {
        "rule": "train",
        "done": 0,
        "to_do": 4,
        "failed": 0,
        "interrupted": 0,
    }
    ran = snakemake(finished, Path("config/small.yaml"))
    assert ran.returncode == 0, ran.stdout


def test_a_lock_of_a_killed_run_is_told_from_one_that_works(finished: Path) -> None:
    locks = finished / ".snakemake" / "locks"
    locks.mkdir(exist_ok=True)
    lock = locks / "0.output.lock"
    lock.write_text("results/small/report.html\n")
    try:
        ran = program(finished, "status.py", "--configfile", "config/small.yaml")
    finally:
        lock.unlink()
    assert "no Snakemake works here" in " ".join(ran.stdout.split())
    assert "snakemake --unlock" in ran.stdout


def test_a_mistake_is_a_sentence(tmp_path: Path) -> None:
    path = write_config(tmp_path, {**STUDY, "sed": 3}, "mistaken")
    ran = program(tmp_path, "plan.py", "--configfile", path)
    assert ran.returncode == 1
    assert "unknown key sed; remove it or mend its spelling" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert ran.stderr.count("\n") == 1


def test_cleaning_removes_what_no_configuration_needs_and_nothing_else(finished: Path) -> None:
    results = finished / "results" / "small"
    elsewhere = finished / "elsewhere.h5"
    stale = [
        results / "features" / "old" / "00.h5",
        results / "runs" / "old" / "fold1" / "all" / "run.json",
        results / "runs" / "mfcc" / "fold1" / "8" / ".resume.safetensors",
        results / "runs" / "mfcc" / "fold1" / "8" / ".kept.safetensors",
        results / "protocol" / "fold9.parquet",
        results / "logs" / "train" / "old" / "fold1" / "all.log",
        results / "tables" / ".scores.ab12cd_9.parquet",
    ]
    theirs = [
        results / "runs" / "mfcc" / "fold1" / "all" / "mine.parquet",
        results / "runs" / "mfcc" / "fold1" / "all" / ".resume.safetensors",
        results / "notes.txt",
    ]
    unnamed = finished / "results" / "gone"
    for path in (*stale, *theirs, elsewhere, unnamed / "logs" / "a", unnamed / "benchmarks" / "a"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * 1000)
    (results / "features" / "old" / "01.h5").symlink_to(elsewhere)
    (results / "features" / "linked").symlink_to(finished)
    before = {path for path in finished.rglob("*") if ".snakemake" not in path.parts}

    ran = program(finished, "clean.py", "--dry-run")
    assert ran.returncode == 0, ran.stderr
    assert "7.0 kB would be removed" in ran.stdout
    assert "results/gone: 2.0 kB of a study that no configuration names" in ran.stdout
    assert program(finished, "clean.py").returncode != 0  # nobody answers
    assert {path for path in finished.rglob("*") if ".snakemake" not in path.parts} == before

    lock = finished / ".snakemake" / "locks" / "0.output.lock"
    lock.parent.mkdir(exist_ok=True)
    lock.write_text("results/small/report.html\n")
    ran = program(finished, "clean.py", "--yes")
    lock.unlink()
    assert ran.returncode == 1
    assert "nothing is removed; if it was killed, unlock with" in ran.stderr

    (finished / "config" / "odd.yaml").write_text("- no study\n")
    ran = program(finished, "clean.py", "--yes")
    assert ran.returncode == 1
    assert "odd.yaml does not say which study it is of" in ran.stderr
    (finished / "config" / "odd.yaml").unlink()

    ran = program(finished, "clean.py", "--yes")
    assert ran.returncode == 0, ran.stderr
    gone = before - {path for path in finished.rglob("*") if ".snakemake" not in path.parts}
    assert {path for path in gone if path.suffix} == set(stale)
    assert not (results / "runs" / "old").exists()
    ran = program(finished, "clean.py", "--yes", "--unnamed-studies")
    assert ran.returncode == 0, ran.stderr
    assert not unnamed.exists()
    assert all(path.exists() for path in (*theirs, elsewhere))
    plan = planned(finished, STUDY)
    assert plan["steps_to_run"] == 0


def test_a_study_that_cannot_be_planned_is_left_alone(finished: Path) -> None:
    stale = finished / "results" / "small" / "features" / "old" / "00.h5"
    stale.parent.mkdir(parents=True, exist_ok=True)
    stale.write_bytes(b"x")
    path = write_config(finished, {**STUDY, "sed": 3}, "mistaken")
    ran = program(finished, "clean.py", "--yes")
    path.unlink()
    stale.unlink()
    assert ran.returncode == 0, ran.stderr
    assert "results/small is left alone: config/mistaken.yaml: " in ran.stdout
    assert "unknown key sed" in ran.stdout
