"""A study whose run is killed, with all its processes, goes on and ends with the same results."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.audit.speech import write_corpus
from tests.conftest import PROJECT
from tests.workflow.same_results import differences
from tests.workflow.small_study import ROWS, STUDY, environment, snakemake, write_config

KILLED_IN = ("read_shard", "extract_features", "train", "make_tables")
"""Rules; the run is killed when the first step of one has begun."""

TARGET = "results/small/tables/scores.parquet"
TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}(\.\w+)?")


def run(folder: Path, config: Path) -> subprocess.Popen:
    """Snakemake in a process group of its own, one step after the other."""
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
    """Time of each step's benchmark, which Snakemake writes when the step has ended."""
    found = (study / "benchmarks").rglob("*.tsv")
    return {path.relative_to(study): path.stat().st_mtime_ns for path in found}


def kill_in(rule: str, folder: Path, config: Path, study: Path) -> None:
    running = run(folder, config)
    try:
        while not [*(study / "logs").glob(f"{rule}*")]:
            assert running.poll() is None, (folder / "run.log").read_text()[-6000:]
            time.sleep(0.01)
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def test_a_killed_study_goes_on_and_ends_with_the_same_results(tmp_path: Path) -> None:
    calm, disturbed = tmp_path / "calm", tmp_path / "disturbed"
    config = {}
    for folder in (calm, disturbed):
        write_corpus(folder / "recordings", ROWS)
        config[folder] = write_config(folder, STUDY)
    finish(calm, config[calm])
    study = disturbed / "results" / "small"
    before: dict[Path, int] = {}
    for rule in KILLED_IN:
        kill_in(rule, disturbed, config[disturbed], study)
        steps = finished_steps(study)
        assert before.items() <= steps.items(), f"done again before {rule} was killed"
        assert len(steps) > len(before) or rule == KILLED_IN[0]
        before = steps
        assert snakemake(disturbed, config[disturbed], "--unlock").returncode == 0
    finish(disturbed, config[disturbed])
    assert before.items() <= finished_steps(study).items()
    assert finished_steps(study).keys() == finished_steps(calm / "results" / "small").keys()
    assert differences(calm / "results" / "small", study) == []
    assert [path for path in study.rglob(".*") if TEMPORARY.fullmatch(path.name)] == []
