"""A study on a SLURM cluster ends with the tables of a workstation, whatever happens on the way.

Run by `make test-slurm`: a cluster is started on this machine.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
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
READ = "read_measure_shard_read_shard"
EXTRACTED = "extract_mfcc_extract_features"
TRAINED = "train_240s_train"
"""Packs: Snakemake calls a job by the group and its rules."""
FAULTS = {
    READ: ("read_shard.py", "lose"),
    EXTRACTED: ("extract_features.py", "requeue"),
    "find_duplicates": ("find_duplicates.py", "scancel"),
    "make_fold": ("make_fold.py", "restart"),
    TRAINED: ("train.py", "scancel"),
    "write_report": ("write_report.py", "requeue"),
}
"""What happens to which job or pack, once, as soon as a program of it runs."""
LIMITS = ("label_corpus:mem_mb=50*20**(attempt-1)", "index_features:runtime=attempt")
"""Too low at first, growing as those of the rules do."""
DEVICES = """
rule all:
    input: "gpu.txt", "cpu.txt", expand("{number}.share", number=range(4))
rule one_gpu:
    output: "gpu.txt"
    resources: gpu=1
    shell: "echo devices=$CUDA_VISIBLE_DEVICES > {output}"
rule no_gpu:
    output: "cpu.txt"
    shell: "echo devices=${{CUDA_VISIBLE_DEVICES:-}} > {output}"
rule train:
    input: "gpu.txt"
    output: "{number}.share"
    resources: gpu=1
    shell:
        "touch {output}.begun;"
        " for i in $(seq 600); do test $(ls *.begun | wc -l) = 4 && break; sleep 0.1; done;"
        " test $(ls *.begun | wc -l) = 4; echo $CUDA_VISIBLE_DEVICES > {output}"
"""
"""With four trainings, each of which ends when all have begun."""
SHARES = ("train:gpu=0", "train:gres='shard:1'", "train:slurm_partition=gpu")
QUICK = (
    *("--slurm-init-seconds-before-status-checks", "1", "--max-jobs-per-timespan", "20/1s"),
    *("--latency-wait", "5"),
)
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


def ended(run: subprocess.Popen, folder: Path, seconds: float) -> None:
    """Wait until the run ends; fails where it failed."""
    assert run.wait(seconds) == 0, (folder / "said.txt").read_text()


def name_of(comment: str) -> str:
    """The rule or pack in the comment that the plugin gives a job.

    >>> name_of("rule_make_fold_wildcards_fold1")
    'make_fold'
    """
    return comment.removeprefix("rule_").partition("_wildcards_")[0]


def do(cluster: Cluster, fault: str, job: str) -> None:
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


def asked_and_used(cluster: Cluster, folder: Path, name: str) -> list[dict[str, str]]:
    """What the jobs of a rule or pack in `folder` asked for and did, oldest first."""
    fields = ("JobID", "State", "ReqMem", "TimelimitRaw", "Comment", "WorkDir")
    listed = cluster.command(
        *("sacct", "--allocations", "--parsable2", "--noheader"),
        *("--starttime=now-1days", "--format=" + ",".join(fields)),
    )
    rows = [dict(zip(fields, line.split("|"), strict=True)) for line in listed.splitlines()]
    found = [row for row in rows if row["WorkDir"] == str(folder)]
    return sorted(
        [row for row in found if name_of(row["Comment"]) == name], key=lambda row: int(row["JobID"])
    )


def megabytes(asked: str) -> float:
    """SLURM's way to write memory.

    >>> megabytes("1.5G")
    1536.0
    """
    return float(asked[:-1]) * {"M": 1, "G": 1024}[asked[-1]]


def test_faults_change_when_a_study_ends_and_nothing_else(
    cluster: Cluster, expected: Path, tmp_path: Path
) -> None:
    """Jobs and packs cancelled, requeued, lost with their node, over memory and over time."""
    write_corpus(tmp_path / "recordings", ROWS)
    config = write_config(tmp_path, STUDY)
    pending, hanging = dict(FAULTS), False
    began = time.monotonic()
    with running(tmp_path, config, "--set-resources", *LIMITS) as run:
        while run.poll() is None and (pending or not hanging):
            assert time.monotonic() < began + 900, (tmp_path / "said.txt").read_text()
            if not hanging and (processes := processes_with("index_features.py", tmp_path)):
                hanging = True
                for process in processes:  # as one whose file system does not answer
                    os.kill(process, signal.SIGSTOP)
            for name, (program, fault) in list(pending.items()):
                if not processes_with(program, tmp_path):
                    continue
                jobs = cluster.jobs(tmp_path).items()
                hit = [job for job, comment in jobs if name_of(comment) == name]
                if hit:
                    del pending[name]
                    do(cluster, fault, hit[0])
                    print(f"\n{time.monotonic() - began:.0f} s: {fault} {name}", end="")
            time.sleep(0.1)
        ended(run, tmp_path, 900)
    print(f"\n{time.monotonic() - began:.0f} s: the end")
    assert not pending
    assert hanging
    assert compared(expected)
    assert differences(tmp_path / RESULTS, expected) == []
    again = snakemake(tmp_path, config, "--dry-run")
    assert "Nothing to be done" in again.stdout, again.stdout
    # The same job or pack again, and what it asks for grows by the rules' own formulas.
    for name in ("find_duplicates", TRAINED):
        cancelled, done = asked_and_used(cluster, tmp_path, name)
        assert cancelled["State"].startswith("CANCELLED")
        assert done["State"] == "COMPLETED"
        grown = megabytes(done["ReqMem"]) / megabytes(cancelled["ReqMem"])
        assert grown == pytest.approx(2, rel=0.02)
    label = asked_and_used(cluster, tmp_path, "label_corpus")
    assert [row["State"] for row in label] == ["FAILED", "COMPLETED"]  # killed
    assert [row["ReqMem"] for row in label] == ["50M", "1000M"]
    index = asked_and_used(cluster, tmp_path, "index_features")
    assert [row["State"] for row in index] == ["TIMEOUT", "COMPLETED"]
    assert [row["TimelimitRaw"] for row in index] == ["1", "2"]
    # SLURM starts these again itself: one job each.
    for name in (READ, EXTRACTED, "write_report"):
        assert [row["State"] for row in asked_and_used(cluster, tmp_path, name)] == ["COMPLETED"]


def test_jobs_go_where_their_gpus_are_and_share_them(cluster: Cluster, tmp_path: Path) -> None:
    """Shares as docs/slurm.md says; four at once, on two GPUs."""
    snakefile = tmp_path / "Snakefile"
    snakefile.write_text(DEVICES)
    config = write_config(tmp_path, {"study": "none"})
    with running(tmp_path, config, "--set-resources", *SHARES, snakefile=snakefile) as run:
        ended(run, tmp_path, 300)
    assert (tmp_path / "gpu.txt").read_text() in {"devices=0\n", "devices=1\n"}
    assert (tmp_path / "cpu.txt").read_text() == "devices=\n"
    assert {path.read_text().strip() for path in tmp_path.glob("*.share")} <= {"0", "1"}
    listed = cluster.command("squeue", "--noheader", "--states=all", "--format=%k %P %Z")
    places = [line.split()[:2] for line in listed.splitlines() if line.endswith(str(tmp_path))]
    partitions = {name_of(comment): partition for comment, partition in places}
    assert partitions == {"no_gpu": "cpu", "one_gpu": "gpu", "train": "gpu"}
