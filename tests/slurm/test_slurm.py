"""A study on a SLURM cluster has the results of a workstation, even if jobs and nodes fail.

Run with `make test-slurm`, which starts a cluster on this machine.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.audit.speech import write_corpus
from tests.conftest import PROJECT
from tests.slurm.cluster import Cluster, processes_with
from tests.workflow.same_results import comparable_files, differences
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
READ = "read_measure_shard_read_shard"
EXTRACTED = "extract_mfcc_extract_features"
TRAINED = "train_240s_train"
"""Grouped jobs: Snakemake names a job by its group and rules."""
FAULTS = {
    READ: ("read_shard.py", "lose"),
    EXTRACTED: ("extract_features.py", "requeue"),
    "find_duplicates": ("find_duplicates.py", "scancel"),
    "make_fold": ("make_fold.py", "restart"),
    TRAINED: ("train.py", "scancel"),
    "write_report": ("write_report.py", "requeue"),
}
"""The program during which a job or group is disturbed once, and how."""
LIMITS = ("label_corpus:mem_mb=50*20**(attempt-1)", "index_features:runtime=attempt")
"""Limits that are too low at first and grow with each attempt, as those of the rules do."""
DEVICES = """
rule all:
    input: "gpu.txt", "gpus.txt", "cpu.txt", expand("{number}.device", number=range(4))
rule one_gpu:
    output: "gpu.txt"
    resources: gpu=1
    shell: "echo devices=$CUDA_VISIBLE_DEVICES > {output}"
rule two_gpus:
    output: "gpus.txt"
    threads: 2
    resources: gpu=2
    shell:
        "torchrun --standalone --nproc-per-node=2 join.py;"
        " cat rank*.txt > {output}; echo devices=$CUDA_VISIBLE_DEVICES >> {output}"
rule no_gpu:
    output: "cpu.txt"
    shell: "echo devices=${{CUDA_VISIBLE_DEVICES:-}} > {output}"
rule train:
    input: "gpu.txt"
    output: "{number}.device"
    resources: gpu=1
    shell:
        "touch {output}.begun;"
        " for i in $(seq 600); do test $(ls *.begun | wc -l) = 4 && break; sleep 0.1; done;"
        " test $(ls *.begun | wc -l) = 4; echo $CUDA_VISIBLE_DEVICES > {output}"
"""
"""A workflow with four trainings, each of which waits until all have started."""
JOIN = """
import os, pathlib, torch.distributed
torch.distributed.init_process_group("gloo")
rank, cores = torch.distributed.get_rank(), os.environ["SLURM_CPUS_PER_TASK"]
pathlib.Path(f"rank{rank}.txt").write_text(
    f"process {rank} of {torch.distributed.get_world_size()} on {cores} cores\\n"
)
"""
"""A program that is started like a pre-training with two processes."""
GPU_SHARD_RESOURCES = ("train:gpu=0", "train:gres='shard:1'", "train:slurm_partition=gpu")
SHORT_WAITS = (
    *("--slurm-init-seconds-before-status-checks", "1", "--max-jobs-per-timespan", "20/1s"),
    *("--latency-wait", "5"),
)
"""Shorter intervals between status checks, for a small study."""


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the results of a run on two cores of this machine."""
    folder = tmp_path_factory.mktemp("workstation")
    finish(folder)
    return folder / RESULTS


@contextlib.contextmanager
def running(
    folder: Path, config: Path, *options: str, snakefile: Path = PROJECT / "Snakefile"
) -> Iterator[subprocess.Popen]:
    """Run a study in `folder` with the SLURM profile; its output goes to `run.log` there."""
    program = [
        str(Path(sys.executable).with_name("snakemake")),
        *("--snakefile", str(snakefile), "--configfile", str(config)),
        *("--workflow-profile", str(PROJECT / "profiles" / "slurm"), *SHORT_WAITS, *options),
    ]
    with open(folder / "run.log", "ab") as log:
        run = subprocess.Popen(
            program, cwd=folder, env=environment(), stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield run
    finally:
        run.kill()
        run.wait()


def wait_for_success(run: subprocess.Popen, folder: Path, seconds: float) -> None:
    """Wait until the run ends, and assert that it succeeded."""
    assert run.wait(seconds) == 0, (folder / "run.log").read_text()


def name_of(comment: str) -> str:
    """Return the rule or group from the comment of a job.

    >>> name_of("rule_make_fold_wildcards_fold1")
    'make_fold'
    """
    return comment.removeprefix("rule_").partition("_wildcards_")[0]


def disturb(cluster: Cluster, fault: str, job: str) -> None:
    if fault == "scancel":
        cluster.command("scancel", job)
    elif fault == "requeue":
        cluster.command("scontrol", "requeue", job)
    elif fault == "restart":
        cluster.stop_node()
        time.sleep(3)
        cluster.start_node()
    else:
        cluster.lose_node()
        cluster.start_node()


def suspend(program: str, folder: Path, run: subprocess.Popen) -> bool:
    """Suspend a program once, as a file system that hangs does; return whether the run had it."""
    while run.poll() is None:
        if processes := processes_with(program, folder):
            for process in processes:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGSTOP)
            return True
        time.sleep(0.05)
    return False


def job_accounting(cluster: Cluster, folder: Path, name: str) -> list[dict[str, str]]:
    """Return states and requested resources of the jobs of a rule or group, oldest first."""
    fields = ("JobID", "State", "ReqMem", "TimelimitRaw", "Comment", "WorkDir")
    listed = cluster.command(
        *("sacct", "--allocations", "--parsable2", "--noheader"),
        *("--starttime=now-1days", "--format=" + ",".join(fields)),
    )
    rows = [dict(zip(fields, line.split("|"), strict=True)) for line in listed.splitlines()]
    of_folder = [row for row in rows if row["WorkDir"] == str(folder)]
    return sorted(
        [row for row in of_folder if name_of(row["Comment"]) == name],
        key=lambda row: int(row["JobID"]),
    )


def megabytes(memory: str) -> float:
    """Parse a memory size of SLURM.

    >>> megabytes("1.5G")
    1536.0
    """
    return float(memory[:-1]) * {"M": 1, "G": 1024}[memory[-1]]


def test_faults_do_not_change_the_results(cluster: Cluster, expected: Path, tmp_path: Path) -> None:
    """Jobs are cancelled, requeued, lost with their node, or exceed their memory or time limit."""
    write_corpus(tmp_path / "recordings", ROWS)
    config = write_config(tmp_path, STUDY)
    pending = dict(FAULTS)
    start = time.monotonic()
    with (
        ThreadPoolExecutor(1) as pool,  # the program may start while a node is stopped
        running(tmp_path, config, "--set-resources", *LIMITS) as run,
    ):
        suspended = pool.submit(suspend, "index_features.py", tmp_path, run)
        while run.poll() is None and pending:
            assert time.monotonic() < start + 900, (tmp_path / "run.log").read_text()
            for name, (program, fault) in list(pending.items()):
                if not processes_with(program, tmp_path):
                    continue
                jobs = cluster.jobs(tmp_path).items()
                matching = [job for job, comment in jobs if name_of(comment) == name]
                if matching:
                    del pending[name]
                    disturb(cluster, fault, matching[0])
                    print(f"\n{time.monotonic() - start:.0f} s: {fault} {name}", end="")
            time.sleep(0.1)
        wait_for_success(run, tmp_path, 900)
    print(f"\n{time.monotonic() - start:.0f} s: finished")
    assert not pending
    assert suspended.result()
    assert comparable_files(expected)
    assert differences(tmp_path / RESULTS, expected) == []
    again = snakemake(tmp_path, config, "--dry-run")
    assert "Nothing to be done" in again.stdout, again.stdout
    # The job or group is submitted again, with more memory.
    for name in ("find_duplicates", TRAINED):
        cancelled, completed = job_accounting(cluster, tmp_path, name)
        assert cancelled["State"].startswith("CANCELLED")
        assert completed["State"] == "COMPLETED"
        ratio = megabytes(completed["ReqMem"]) / megabytes(cancelled["ReqMem"])
        assert ratio == pytest.approx(2, rel=0.02)
    label = job_accounting(cluster, tmp_path, "label_corpus")
    assert [row["State"] for row in label] == ["FAILED", "COMPLETED"]  # killed
    assert [row["ReqMem"] for row in label] == ["50M", "1000M"]
    index = job_accounting(cluster, tmp_path, "index_features")
    assert [row["State"] for row in index] == ["TIMEOUT", "COMPLETED"]
    assert [row["TimelimitRaw"] for row in index] == ["1", "2"]
    # SLURM itself restarts these jobs under the same number.
    for name in (READ, EXTRACTED, "write_report"):
        assert [row["State"] for row in job_accounting(cluster, tmp_path, name)] == ["COMPLETED"]


def test_jobs_run_on_gpu_partitions_and_share_gpus(cluster: Cluster, tmp_path: Path) -> None:
    """Four trainings run at once on two GPUs, as docs/tutorials/cluster.md describes."""
    snakefile = tmp_path / "Snakefile"
    torchrun = str(Path(sys.executable).with_name("torchrun"))
    snakefile.write_text(DEVICES.replace("torchrun", torchrun))
    (tmp_path / "join.py").write_text(JOIN)
    config = write_config(tmp_path, {"study": "none"})
    with running(
        tmp_path, config, "--set-resources", *GPU_SHARD_RESOURCES, snakefile=snakefile
    ) as run:
        wait_for_success(run, tmp_path, 300)
    assert (tmp_path / "gpu.txt").read_text() in {"devices=0\n", "devices=1\n"}
    assert (tmp_path / "gpus.txt").read_text().splitlines() == [
        "process 0 of 2 on 2 cores",
        "process 1 of 2 on 2 cores",
        "devices=0,1",
    ]
    assert (tmp_path / "cpu.txt").read_text() == "devices=\n"
    assert {path.read_text().strip() for path in tmp_path.glob("*.device")} <= {"0", "1"}
    listed = cluster.command("squeue", "--noheader", "--states=all", "--format=%k %P %Z")
    jobs = [line.split()[:2] for line in listed.splitlines() if line.endswith(str(tmp_path))]
    partitions = {name_of(comment): partition for comment, partition in jobs}
    assert partitions == {"no_gpu": "cpu", "one_gpu": "gpu", "two_gpus": "gpu", "train": "gpu"}
