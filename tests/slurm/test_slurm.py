"""A study on a SLURM cluster ends with the tables of a workstation, whatever happens on the way.

Run by `make test-slurm`: a cluster is started on this machine.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.audit.speech import write_corpus
from tests.conftest import PROJECT
from tests.slurm.cluster import Cluster, processes_with
from tests.workflow.same_results import compared, differences
from tests.workflow.small_study import (
    ROWS,
    STUDY,
    environment,
    finish,
    snakemake,
    write_config,
)

pytestmark = pytest.mark.skipif(
    os.environ.get("EMOSCALE_SLURM") != "1", reason="starts a SLURM cluster: make test-slurm"
)
RESULTS = Path("results") / "small"
GPU_AND_CPU = """
rule all:
    input: "gpu.txt", "cpu.txt"
rule one_gpu:
    output: "gpu.txt"
    resources: gpu=1
    shell: "echo devices=$CUDA_VISIBLE_DEVICES > {output}"
rule no_gpu:
    output: "cpu.txt"
    shell: "echo devices=${{CUDA_VISIBLE_DEVICES:-}} > {output}"
"""
SHARED = """
rule all:
    input: expand("{number}.txt", number=range(4))
rule train:
    output: "{number}.txt"
    resources: gpu=1
    shell:
        "touch {output}.begun;"
        " for i in $(seq 600); do test $(ls *.begun | wc -l) = 4 && break; sleep 0.1; done;"
        " test $(ls *.begun | wc -l) = 4; echo $CUDA_VISIBLE_DEVICES > {output}"
"""
"""Four trainings, each of which ends when all have begun."""
QUICK = ("--slurm-init-seconds-before-status-checks", "2", "--max-jobs-per-timespan", "20/1s")
"""A small study does not wait as long between two looks at its jobs."""


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results of two cores of this machine."""
    folder = tmp_path_factory.mktemp("workstation")
    finish(folder)
    return folder / RESULTS


@contextlib.contextmanager
def running(
    folder: Path, config: Path, *options: str, snakefile: Path = PROJECT / "Snakefile"
) -> Iterator[subprocess.Popen]:
    """A study started in `folder` through the profile; what it says goes to `said.txt` there."""
    program = [
        str(Path(sys.executable).with_name("snakemake")),
        *("--snakefile", str(snakefile), "--configfile", str(config)),
        *("--workflow-profile", str(PROJECT / "profiles" / "slurm"), *QUICK, *options),
    ]
    with open(folder / "said.txt", "ab") as said:
        run = subprocess.Popen(
            program, cwd=folder, env=environment(), stdout=said, stderr=subprocess.STDOUT
        )
    try:
        yield run
    finally:
        run.kill()
        run.wait()


def submitted(said: str) -> int:
    return said.count("has been submitted with SLURM jobid")


def small_study(folder: Path) -> Path:
    write_corpus(folder / "recordings", ROWS)
    return write_config(folder, STUDY)


def next_job(
    cluster: Cluster, folder: Path, run: subprocess.Popen, hit: Counter[str]
) -> str | None:
    """A running job of a step, or kind of pack, that was hit once at most; None at the end.

    So nothing fails as often as it is tried.
    """
    deadline = time.monotonic() + 300
    while run.poll() is None and time.monotonic() < deadline:
        unhurt = {job: step for job, step in cluster.jobs(folder).items() if hit[step] < 2}
        if unhurt:
            job = random.Random(hit.total()).choice(sorted(unhurt))
            hit[unhurt[job]] += 1
            return job
        time.sleep(0.2)
    return None


def finished(folder: Path, config: Path, *options: str, seconds: float = 900) -> str:
    """What a run said from its start to its end."""
    with running(folder, config, *options) as run:
        return ended(run, folder, seconds)


def ended(run: subprocess.Popen, folder: Path, seconds: float = 900) -> str:
    """What the run said; fails where it failed."""
    status = run.wait(seconds)
    said = (folder / "said.txt").read_text()
    assert status == 0, said
    return said


def asked_and_used(cluster: Cluster, folder: Path) -> list[dict[str, str]]:
    """What the jobs of the run in `folder` asked for and did, oldest first; none is left out."""
    if not cluster.accounting:
        pytest.skip("what jobs asked for is told by sacct, which needs slurmdbd and MariaDB")
    fields = ("JobID", "State", "ReqMem", "TimelimitRaw", "ElapsedRaw", "Comment", "WorkDir")
    listed = cluster.command(
        *("sacct", "--allocations", "--parsable2", "--noheader"),
        *("--starttime=now-1days", "--format=" + ",".join(fields)),
    )
    rows = [dict(zip(fields, line.split("|"), strict=True)) for line in listed.splitlines()]
    rows = [row for row in rows if row["WorkDir"] == str(folder)]
    return sorted(rows, key=lambda row: int(row["JobID"]))


def megabytes(asked: str) -> float:
    """SLURM's way to write memory.

    >>> megabytes("1.5G")
    1536.0
    """
    return float(asked[:-1]) * {"M": 1, "G": 1024}[asked[-1]]


def seconds_of_steps(results: Path) -> list[float]:
    """The seconds of each step that left a benchmark."""
    tables = sorted((results / "benchmarks").rglob("*.tsv"))
    return [float(table.read_text().splitlines()[1].split("\t")[0]) for table in tables]


def test_tables_are_those_of_a_workstation(
    cluster: Cluster, expected: Path, tmp_path: Path
) -> None:
    config = small_study(tmp_path)
    began = time.monotonic()
    said = finished(tmp_path, config)
    jobs = submitted(said)
    seconds = time.monotonic() - began
    print(f"\n{jobs} jobs in {seconds:.0f} s: {seconds / max(1, jobs):.1f} s a job")
    assert 5 < jobs < 20  # of more steps
    assert compared(expected)
    assert differences(tmp_path / RESULTS, expected) == []
    again = finished(tmp_path, config, "--dry-run")
    assert "Nothing to be done" in again


def test_a_job_with_a_gpu_goes_where_gpus_are(cluster: Cluster, tmp_path: Path) -> None:
    snakefile = tmp_path / "Snakefile"
    snakefile.write_text(GPU_AND_CPU)
    config = write_config(tmp_path, {"study": "none"})
    with running(tmp_path, config, snakefile=snakefile) as run:
        ended(run, tmp_path)
    assert (tmp_path / "gpu.txt").read_text() in {"devices=0\n", "devices=1\n"}
    assert (tmp_path / "cpu.txt").read_text() == "devices=\n"
    listed = cluster.command("squeue", "--noheader", "--states=all", "--format=%k %P %Z")
    partitions = [line.split()[:2] for line in listed.splitlines() if line.endswith(str(tmp_path))]
    assert sorted(partitions) == [["rule_no_gpu", "cpu"], ["rule_one_gpu", "gpu"]]


def test_trainings_share_a_gpu_where_the_cluster_has_shares(
    cluster: Cluster, tmp_path: Path
) -> None:
    """As docs/slurm.md says; four at once, on two GPUs."""
    snakefile = tmp_path / "Snakefile"
    snakefile.write_text(SHARED)
    config = write_config(tmp_path, {"study": "none"})
    shares = ("--set-resources", "train:gpu=0", "train:gres='shard:1'", "train:slurm_partition=gpu")
    with running(tmp_path, config, *shares, snakefile=snakefile) as run:
        ended(run, tmp_path)
    devices = [(tmp_path / f"{number}.txt").read_text().strip() for number in range(4)]
    assert set(devices) <= {"0", "1"}


def test_cancelled_requeued_and_lost_jobs_change_nothing(
    cluster: Cluster, expected: Path, tmp_path: Path
) -> None:
    done: list[str] = []
    hit: Counter[str] = Counter()
    with running(tmp_path, small_study(tmp_path)) as run:
        for fault in ("scancel", "requeue", "restart", "scancel", "lose", "requeue", "scancel"):
            job = next_job(cluster, tmp_path, run, hit)
            if job is None:
                break
            time.sleep(1.5)  # into the job
            if fault == "scancel":
                cluster.command("scancel", job)
            elif fault == "requeue":
                # It may have ended just now.
                cluster.command("scontrol", "requeue", job, check=False)
            elif fault == "restart":
                cluster.stop_node()
                time.sleep(3)
                cluster.start_node()
            else:
                cluster.lose_node()
                cluster.start_node()
            done.append(fault)
        ended(run, tmp_path)
    print(f"\n{done} of {dict(hit)}")
    assert set(done) == {"scancel", "requeue", "restart", "lose"}
    assert differences(tmp_path / RESULTS, expected) == []
    rows = asked_and_used(cluster, tmp_path)
    cancelled = [row for row in rows if row["State"].startswith("CANCELLED")]
    assert cancelled
    for row in cancelled:  # the same step or pack again, by the rules' own growth
        later = [
            megabytes(each["ReqMem"])
            for each in rows[rows.index(row) + 1 :]
            if each["Comment"] == row["Comment"]
        ]
        print(f"{row['Comment']}: {row['ReqMem']}, then {later}")
        assert any(each == pytest.approx(2 * megabytes(row["ReqMem"]), rel=0.02) for each in later)


def test_a_job_over_its_memory_or_time_asks_for_more(
    cluster: Cluster, expected: Path, tmp_path: Path
) -> None:
    """With limits that are too low at first, growing as those of the rules do."""
    limits = ("label_corpus:mem_mb=50*20**(attempt-1)", "index_features:runtime=attempt")
    with running(tmp_path, small_study(tmp_path), "--set-resources", *limits) as run:
        deadline = time.monotonic() + 600
        while not (hanging := processes_with("index_features.py", tmp_path)):
            assert run.poll() is None, (tmp_path / "said.txt").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        for process in hanging:  # as one that waits for a file system that does not answer
            os.kill(process, signal.SIGSTOP)
        ended(run, tmp_path)
    rows = asked_and_used(cluster, tmp_path)
    label, index = (
        [row for row in rows if row["Comment"].startswith(f"rule_{rule}")]
        for rule in ("label_corpus", "index_features")
    )
    assert [row["State"] for row in label] == ["FAILED", "COMPLETED"]  # killed
    assert [row["ReqMem"] for row in label] == ["50M", "1000M"]
    assert [row["State"] for row in index] == ["TIMEOUT", "COMPLETED"]
    assert [row["TimelimitRaw"] for row in index] == ["1", "2"]
    assert differences(tmp_path / RESULTS, expected) == []


def test_the_demo_has_the_tables_of_a_workstation(cluster: Cluster, tmp_path: Path) -> None:
    """The whole default study, twice: the best part of an hour on two cores."""
    workstation, slurm = tmp_path / "workstation", tmp_path / "slurm"
    config = PROJECT / "config" / "demo.yaml"
    for folder in (workstation, slurm):
        folder.mkdir()
    ran = snakemake(workstation, config)
    assert ran.returncode == 0, ran.stdout
    began = time.monotonic()
    said = finished(slurm, config, seconds=3 * 3600)
    print(f"\nthe demo: {submitted(said)} jobs in {time.monotonic() - began:.0f} s")
    assert differences(slurm / "results" / "demo", workstation / "results" / "demo") == []
    rows, steps = asked_and_used(cluster, slurm), seconds_of_steps(slurm / "results" / "demo")
    held = sum(int(row["ElapsedRaw"]) for row in rows)
    print(
        f"{len(rows)} jobs held their cores for {held} s: {len(steps)} steps of {sum(steps):.0f} s"
    )
