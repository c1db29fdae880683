"""What a run's jobs on SLURM asked for and used, and why they ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from emoscale.running.slurm_jobs import (
    AccountingError,
    JobRow,
    accounts_of,
    job_rows,
    parse_accounts,
    submitted_jobs,
)
from tests.running.test_parameters_and_estimates import step

# As sacct of SLURM 22.05 gave it, with --duplicates.
SACCT = """\
1|CANCELLED by 0|0:0|2|60|2000M|1|1|
1.batch|CANCELLED|0:15|2|||1|1|128604K
2|COMPLETED|0:0|23|60|2000M|1|1|
2.batch|COMPLETED|0:0|23|||1|1|357.50M
2.0|COMPLETED|0:0|11|||1|1|530212K
6|FAILED|0:9|1|60|50M|1|1|
6.batch|CANCELLED by 0|0:9|1|||1|1|51288K
8|NODE_FAIL|0:0|30|1|2000M|1|1|
8|COMPLETED|0:0|30|120|1000M|1|1|
8.batch|COMPLETED|0:0|30|||1|1|364556K
8.0|COMPLETED|0:0|17|||1|1|538540K
9|TIMEOUT|0:0|75|1|2000M|1|1|
13|RUNNING|0:0|27|60|4000M|1|1|
14|FAILED|1:0|42|60|4000M|1|1|
14.batch|FAILED|1:0|42|||1|1|364912K
"""
# As snakemake-executor-plugin-slurm 2.8.0 wrote it.
LOG = """\
Job 4: read shard 00 of the corpus and check every recording
Auto-selected partition 'cpu' for job read_shard with score 0.045
Job 4 has been submitted with SLURM jobid 2 (log: {logs}/rule_read_shard/00/2.log).
Job 2 has been submitted with SLURM jobid 6 (log: {logs}/rule_label_corpus/6.log).
Error in rule label_corpus:
    message: SLURM-job '6' failed, SLURM status is: 'FAILED'. Detailed failure reason unavailable
    jobid: 2
Job 9 has been submitted with SLURM jobid 14 (log: {logs}/rule_train/mfcc_fold1_all/14.log).
"""


def written(folder: Path) -> Path:
    log = folder / "a.snakemake.log"
    log.write_text(LOG.format(logs=folder / "slurm_logs"))
    return log


def test_memory_and_time_are_those_of_a_job_and_its_steps() -> None:
    accounts = {account.job: account for account in parse_accounts(SACCT)}
    done = accounts["2"]
    assert done.used_mb == pytest.approx(357.5 + 530212 / 1024)
    assert (done.asked_mb, done.limit_minutes, done.elapsed_seconds) == (2000, 60, 23)
    assert accounts["13"].used_mb is None
    assert accounts["1"].state == "CANCELLED"


def test_each_start_of_a_requeued_job_counts() -> None:
    states = [account.state for account in parse_accounts(SACCT) if account.job == "8"]
    assert states == ["NODE_FAIL", "COMPLETED"]


def test_old_slurm_says_memory_a_cpu() -> None:
    (account,) = parse_accounts("3|COMPLETED|0:0|9|60|2Gc|4|1|\n")
    assert account.asked_mb == 4 * 2 * 1024


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        ("1", "cancelled"),
        ("2", ""),
        ("6", "over its memory"),
        ("9", "over its time"),
        ("13", ""),
        ("14", "no such class: angri"),
    ],
)
def test_why_a_job_did_not_succeed(job: str, reason: str, tmp_path: Path) -> None:
    own = tmp_path / "own.log"
    own.write_text("Error\nno such class: angri\n")
    steps = [step("all", logs=(str(own),))]
    log = tmp_path / "a.log"
    place = tmp_path / "slurm_logs" / "rule_train" / "mfcc_fold1_all" / f"{job}.log"
    log.write_text(f"Job 9 has been submitted with SLURM jobid {job} (log: {place}).\n")
    accounts = [account for account in parse_accounts(SACCT) if account.job == job]
    (row,) = job_rows(submitted_jobs(log), accounts, steps)
    assert (row.rule, row.step, row.reason) == ("train", "train mfcc fold1 all", reason)
    assert row.log == str(own)


def test_a_step_that_could_not_say_why_is_told_by_what_slurm_kept(tmp_path: Path) -> None:
    place = tmp_path / "slurm_logs" / "rule_label_corpus"
    place.mkdir(parents=True)
    (place / "6.log").write_text("slurmstepd: error: Exceeded job memory limit\n")
    rows = rows_without_accounts(tmp_path)
    assert [row.rule for row in rows] == ["read_shard", "label_corpus", "train"]
    assert (rows[1].state, rows[1].log) == ("FAILED", str(place / "6.log"))
    assert rows[1].reason == "slurmstepd: error: Exceeded job memory limit"
    assert (rows[0].state, rows[0].reason, rows[0].used_mb) == ("", "", None)


def rows_without_accounts(folder: Path) -> list[JobRow]:
    return job_rows(submitted_jobs(written(folder)), [], [])


def test_many_jobs_are_asked_for_in_pieces() -> None:
    asked = []

    def ask(words: object) -> str:
        asked.append(words)
        return SACCT if len(asked) == 1 else ""

    assert len(accounts_of([str(job) for job in range(1200)], ask)) == 8
    assert len(asked) == 3


def test_accounting_that_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(AccountingError, match="sacct cannot be run"):
        accounts_of(["1"])
