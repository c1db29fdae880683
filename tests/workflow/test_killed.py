"""A study whose processes are all killed can be continued, with the same results."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.audit.speech import write_corpus
from tests.conftest import PROJECT
from tests.workflow.same_results import differences
from tests.workflow.small_study import ROWS, STUDY, environment, snakemake, write_config

KILLED_RULES = ("read_shard", "extract_features", "train", "make_tables")
"""The run is killed as soon as a job of each of these rules has started."""

TARGET = "results/small/tables/scores.parquet"
TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}(\.\w+)?")


def run(folder: Path, config: Path) -> subprocess.Popen:
    """Start Snakemake on one core in a new process group."""
    program = [str(Path(sys.executable).with_name("snakemake")), "--snakefile"]
    program += [str(PROJECT / "Snakefile"), "--configfile", str(config), "--cores", "1", TARGET]
    with open(folder / "run.log", "ab") as log:
        return subprocess.Popen(
            program,
            cwd=folder,
            env=environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def finish(folder: Path, config: Path) -> None:
    assert run(folder, config).wait() == 0, (folder / "run.log").read_text()[-6000:]


def finished_steps(study: Path) -> dict[Path, int]:
    """Return the modification time of each job's benchmark, which is written when it ends."""
    benchmarks = (study / "benchmarks").rglob("*.tsv")
    return {path.relative_to(study): path.stat().st_mtime_ns for path in benchmarks}


def kill_during(rule: str, folder: Path, config: Path, study: Path) -> None:
    running = run(folder, config)
    try:
        while not [*(study / "logs").glob(f"{rule}*")]:
            assert running.poll() is None, (folder / "run.log").read_text()[-6000:]
            time.sleep(0.01)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()


@pytest.mark.slow
def test_a_killed_study_ends_with_the_same_results(tmp_path: Path) -> None:
    reference, interrupted = tmp_path / "reference", tmp_path / "interrupted"
    config = {}
    for folder in (reference, interrupted):
        write_corpus(folder / "recordings", ROWS)
        config[folder] = write_config(folder, STUDY)
    finish(reference, config[reference])
    study = interrupted / "results" / "small"
    before: dict[Path, int] = {}
    for rule in KILLED_RULES:
        kill_during(rule, interrupted, config[interrupted], study)
        steps = finished_steps(study)
        assert before.items() <= steps.items(), f"a finished job was repeated before {rule}"
        assert len(steps) > len(before) or rule == KILLED_RULES[0]
        before = steps
        assert snakemake(interrupted, config[interrupted], "--unlock").returncode == 0
    finish(interrupted, config[interrupted])
    assert before.items() <= finished_steps(study).items()
    assert finished_steps(study).keys() == finished_steps(reference / "results" / "small").keys()
    assert differences(reference / "results" / "small", study) == []
    assert [path for path in study.rglob(".*") if TEMPORARY.fullmatch(path.name)] == []
