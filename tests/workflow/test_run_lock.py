"""The lock of a run that works, was killed, or is elsewhere, with a Snakefile of one slow step."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from emoscale.run_lock import Owner, _myself, locks_in
from tests.workflow.small_study import environment

SNAKEFILE = """
from emoscale.run_lock import install_run_lock
install_run_lock()
rule all:
    output: "made.txt"
    shell: "sleep {seconds}; echo done > made.txt"
"""


def start(folder: Path, *arguments: str, seconds: float = 0.0) -> subprocess.Popen[str]:
    (folder / "Snakefile").write_text(SNAKEFILE.replace("{seconds}", str(seconds)))
    return subprocess.Popen(
        [str(Path(sys.executable).with_name("snakemake")), "--cores", "1", *arguments],
        cwd=folder,
        env=environment(),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )


def started(folder: Path) -> subprocess.Popen[str]:
    """A run that holds its lock and sleeps."""
    run = start(folder, seconds=60)
    deadline = time.monotonic() + 60
    while not list((folder / ".snakemake" / "incomplete").glob("*")):
        assert run.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return run


def kill(run: subprocess.Popen[str]) -> None:
    os.killpg(run.pid, signal.SIGKILL)
    run.communicate()


def test_a_second_run_is_told_which_process_works(tmp_path: Path) -> None:
    first = started(tmp_path)
    try:
        second = start(tmp_path)
        said = second.communicate()[0]
        assert first.poll() is None
    finally:
        kill(first)
    assert second.returncode == 1
    assert f"another run works on these files already (process {first.pid}, since" in said
    assert "Traceback" not in said


def test_what_a_killed_run_holds_is_taken_over(tmp_path: Path) -> None:
    first = started(tmp_path)
    kill(first)
    assert locks_in(tmp_path / ".snakemake" / "locks")
    second = start(tmp_path, "--rerun-incomplete")
    said = second.communicate()[0]
    assert second.returncode == 0, said
    assert f"A run (process {first.pid}) was ended before it was done; this one goes on." in said
    assert (tmp_path / "made.txt").read_text() == "done\n"
    assert not locks_in(tmp_path / ".snakemake" / "locks")


def test_a_lock_of_another_machine_is_ended_by_hand(tmp_path: Path) -> None:
    locks = tmp_path / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    owner = {**vars(_myself()), "host": "node7"}
    (locks / "0.output.lock").write_text(f"emoscale run {json.dumps(owner)}\nmade.txt\n")
    run = start(tmp_path)
    said = run.communicate()[0]
    assert run.returncode == 1
    assert "a run on node7 holds the lock on these files since" in said
    assert start(tmp_path, "--unlock").wait() == 0
    assert start(tmp_path).wait() == 0


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")
def test_a_dead_owner_is_told_from_a_living_one() -> None:
    living = _myself()
    boot, space = living.boot.split()
    assert not living.dead
    assert replace(living, started="1").dead  # another process has its number now
    assert replace(living, process=2**22 + 1, started="5").dead
    assert replace(living, boot=f"another {space}").dead  # the machine was started again
    assert not replace(living, boot=f"{boot} elsewhere").dead  # another container's process
    assert not Owner("node7", "another start", 1, "5").dead


def test_a_turn_of_a_killed_process_is_ended(tmp_path: Path) -> None:
    locks = tmp_path / ".snakemake" / "locks"
    locks.mkdir(parents=True)
    owner = {**vars(_myself()), "started": "1"}
    (locks / "taken").write_text(f"emoscale run {json.dumps(owner)}")
    began = time.monotonic()
    assert start(tmp_path).wait() == 0
    assert time.monotonic() - began < 25
