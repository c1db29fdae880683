"""What Snakemake's log says of a step that could not say anything itself."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from emoscale.running.failures import failures_of
from tests.running.test_parameters_and_estimates import step

# As Snakemake 9.27 writes it.
LOG = """\
RuleException:
CalledProcessError in file "/study/workflow/rules/training.smk", line 43:
Command 'set -euo pipefail;  python train.py --size other > logs/other.log 2>&1' {other}.
RuleException:
CalledProcessError in file "/study/workflow/rules/training.smk", line 43:
Command 'set -euo pipefail;  python train.py --size all > logs/all.log 2>&1' {own}.
[Mon Nov 23 23:55:47 2026]
Error in rule train:
    message: {message}
    jobid: 1
    output: results/small/runs/mfcc/fold1/all/run.json
    log: logs/all.log (check log file(s) for error details)
    shell:
        python train.py --size all > logs/all.log 2>&1
        (command exited with non-zero exit code)
"""
FAILED, KILLED = "returned non-zero exit status 1", "returned non-zero exit status 137"


@pytest.mark.parametrize(
    ("own", "message", "says"),
    [
        (KILLED, "None", "killed, most likely because memory ran out: it asked for 4,000 MB; run"),
        ("died with <Signals.SIGKILL: 9>", "None", "killed, most likely because memory ran out"),
        (FAILED, "SLURM status is: 'OUT_OF_MEMORY'", "killed, most likely because memory ran out"),
        ("died with <Signals.SIGSEGV: 11>", "None", "crashed (segmentation fault)"),
    ],
)
def test_a_killed_step_is_told(own: str, message: str, says: str, tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text(LOG.format(own=own, other=FAILED, message=message))
    (failure,) = failures_of([step("all", logs=("logs/all.log",))], [log])
    assert failure.killed.startswith(says)
    if "memory" in says and "crashed" not in says:
        assert "--set-resources train:mem_mb=8000" in failure.killed
        assert "training.batch_utterances" in failure.killed


def test_a_step_that_ended_by_itself_was_not_killed(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    log.write_text(LOG.format(own=FAILED, other=KILLED, message="None"))
    (failure,) = failures_of([step("all", logs=("logs/all.log",))], [log])
    assert failure.killed == ""


def test_a_disk_that_took_not_even_the_log_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, own = tmp_path / "a.log", tmp_path / "own.log"
    own.touch()
    log.write_text(LOG.format(own=FAILED, other=FAILED, message="None").replace("logs/all", "own"))
    monkeypatch.chdir(tmp_path)
    failed = step("all", logs=("own.log",))
    (failure,) = failures_of([failed], [log])
    assert failure.killed == ""  # an empty log alone says nothing
    full = SimpleNamespace(free=40_000)
    monkeypatch.setattr("emoscale.running.failures.shutil.disk_usage", lambda _: full)
    (failure,) = failures_of([failed], [log])
    assert failure.killed.startswith("its log is empty, and the disk has 0.0 MB free: make room")
    own.write_text("Error: the disk is full\n")
    (failure,) = failures_of([failed], [log])
    assert failure.killed == ""
