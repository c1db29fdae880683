"""Kills a study's run at random moments until it has survived so many, and compares what is left.

    python -m tests.chaos.chaos --kills 30 --full 10

The study is run once undisturbed, then in another folder again and again: started, killed with all
its processes (kill -9) at a random moment, started again. In `--full` of the runs the disk with the
results, a small one in memory, is filled before. Whenever the study gets to its end its tables are
compared with the undisturbed ones and it begins anew. What was done before a kill must not be done
again: files of finished steps stay the files that they are.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import click

from tests.conftest import PROJECT
from tests.workflow.same_results import differences
from tests.workflow.small_study import environment

END_SECONDS = 3_600.0
END_OF_KILLED_SECONDS = 5.0
_DISK_MB_MORE = 64
_TEMPORARY = re.compile(r"\..+\.[a-z0-9_]{8}(\.[a-z0-9]+)?")

Written = dict[str, tuple[int, int]]
"""Path: inode and time of change in ns."""


@dataclass
class Study:
    """A study in a folder of its own, and how it is run."""

    folder: Path
    config: Path
    results: str
    """The study's folder of results, relative to `folder`."""
    cores: int = 2
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.folder / "run.log"

    def start(self) -> subprocess.Popen[bytes]:
        """Snakemake in a process group of its own."""
        with open(self.log, "ab") as log:
            return subprocess.Popen(
                [
                    str(Path(sys.executable).with_name("snakemake")),
                    *("--snakefile", str(PROJECT / "Snakefile"), "--configfile", str(self.config)),
                    *("--cores", str(self.cores)),
                ],
                cwd=self.folder,
                env=environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def finish(self) -> None:
        """Run to the end, undisturbed; what Snakemake said is shown where that does not succeed."""
        before = self.log.stat().st_size if self.log.exists() else 0
        if self.start().wait(END_SECONDS):
            said = self.log.read_bytes()[before:].decode(errors="replace")
            raise click.ClickException(f"the study did not end well:\n{said[-6000:]}")

    def finished_files(self) -> Written:
        """What steps that Snakemake knows to be done have written.

        It notes the end of a step file by file: one of whose files any is incomplete is not done.
        """
        records = self.folder / ".snakemake"
        recorded, incomplete = _names(records / "metadata"), _names(records / "incomplete")
        log_of = {name: _log_in(path) for name, path in recorded.items()}
        half = {log_of[name] for name in incomplete if name in log_of} - {""}
        done = {name for name in recorded if name not in incomplete and log_of[name] not in half}
        return {
            name: (status.st_ino, status.st_mtime_ns)
            for name in done
            if (self.folder / name).is_file()
            for status in [(self.folder / name).stat()]
        }

    def survivors(self) -> list[str]:
        """Processes that still work in the folder; those that were killed have a moment to end."""
        deadline = time.monotonic() + END_OF_KILLED_SECONDS
        while (found := self._at_work()) and time.monotonic() < deadline:
            time.sleep(0.05)
        return found

    def _at_work(self) -> list[str]:
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if (process / "cwd").readlink() == self.folder:
                    found.append(f"process {process.name} survived")
            except OSError:  # has ended
                continue
        return found


@dataclass
class Chaos:
    """The kills so far, and what was wrong."""

    study: Study
    reference: Path
    """The undisturbed results."""
    random: Random
    latest_seconds: float
    """A kill comes at any moment before."""
    kills: int = 0
    filled: int = 0
    ends: int = 0
    kept: int = 0
    """Files of finished steps that were there at a kill and were looked at afterwards."""
    faults: list[str] = field(default_factory=list)
    known: Written = field(default_factory=dict)

    def kill_once(self, filler: Path | None) -> None:
        """Start, kill at a random moment, and look at what became of what was done before."""
        run = self.study.start()
        moment = self.random.uniform(0.5, self.latest_seconds)
        if filler is not None:
            time.sleep(moment / 2)
            _fill(filler)
            self.filled += 1
            moment /= 2
        try:
            status = run.wait(moment)
        except subprocess.TimeoutExpired:
            status = None
        _kill(run)
        if filler is not None:
            filler.unlink()
        self.kills += status is None or filler is not None
        self.faults += self.study.survivors()
        self._look()
        if status == 0:
            self.at_the_end()
        elif status is not None and filler is None:
            self.faults.append(f"run {self.kills}: ended by itself with exit status {status}")

    def at_the_end(self) -> None:
        """Compare a finished study with the undisturbed one, and begin anew."""
        self.ends += 1
        study = self.study.folder / self.study.results
        self.faults += differences(self.reference, study)
        self.faults += [f"{path} was left" for path in _left_over(study)]
        for folder in (self.study.folder / ".snakemake", study):
            shutil.rmtree(folder, ignore_errors=True)
        self.known = {}

    def _look(self) -> None:
        now = self.study.finished_files()
        for name, written in self.known.items():
            self.kept += 1
            if name in now and now[name] != written:
                self.faults.append(f"kill {self.kills}: {name} was done and was done again")
        self.known = now


@contextmanager
def small_disk(folder: Path, megabytes: int) -> Iterator[bool]:
    """A disk in memory at `folder`; False where it may not be made."""
    folder.mkdir(parents=True)
    options = ["-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    there = (
        subprocess.run(["mount", *options], stderr=subprocess.DEVNULL).returncode == 0
        if shutil.which("mount")
        else False
    )
    try:
        yield there
    finally:
        if there:
            subprocess.run(["umount", "--lazy", str(folder)], check=True)


def disturb(
    config: Path, folder: Path, results: str, kills: int, full: int, latest: float, seed: int
) -> Chaos:
    """Everything in `folder`, in which a relative corpus is looked for; says how it goes.

    `latest` is the share of the undisturbed time before which a kill comes.
    """
    calm = Study(folder, config, results)
    began = time.monotonic()
    calm.finish()
    seconds = time.monotonic() - began
    click.echo(f"undisturbed: {seconds:.0f} s")
    reference = folder / "undisturbed"
    (folder / results).rename(reference)
    shutil.rmtree(folder / ".snakemake")
    disk = (folder / results).parent
    shutil.rmtree(disk)
    megabytes = 2 * sum(path.stat().st_size for path in reference.rglob("*")) // 10**6
    random = Random(seed)
    with small_disk(disk, megabytes + _DISK_MB_MORE) as there:
        if full and not there:
            click.echo("no disk is filled: only root may mount one (try: unshare --user -rm make)")
        fills = set(random.sample(range(kills), full if there else 0))
        chaos = Chaos(Study(folder, config, results), reference, random, latest * seconds)
        while chaos.kills < kills:
            filler = disk / "filler" if chaos.kills in fills else None
            chaos.kill_once(filler)
            click.echo(
                f"kill {chaos.kills}{' on a full disk' if filler else ''}: "
                f"{len(chaos.known)} files of finished steps, {len(chaos.faults)} faults"
            )
        chaos.study.finish()
        chaos._look()
        chaos.at_the_end()
    return chaos


def _fill(filler: Path) -> None:
    """Take all that is free."""
    block = bytes(1 << 20)
    with open(filler, "wb", buffering=0) as file:
        size = len(block)
        while size:
            try:
                file.write(block[:size])
            except OSError:
                size //= 2


def _kill(run: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(run.pid, signal.SIGKILL)
    run.wait()


def _names(records: Path) -> dict[str, Path]:
    """The files that a folder of Snakemake's records is about; long names lie in folders."""
    return {
        urlsafe_b64decode(
            "".join(part.lstrip("@") for part in path.relative_to(records).parts)
        ).decode(): path
        for path in records.rglob("*")
        if path.is_file()
    }


def _log_in(record: Path) -> str:
    """The log of the step that a record is of: what its files have in common."""
    try:
        return " ".join(json.loads(record.read_text(encoding="utf-8")).get("log") or [])
    except ValueError:  # killed while it was written
        return ""


def _left_over(study: Path) -> list[str]:
    """Temporary files, which a finished study needs no more."""
    return [
        str(path.relative_to(study))
        for path in study.rglob(".*")
        if _TEMPORARY.fullmatch(path.name)
    ]


@click.command(help=__doc__)
@click.option("--config", default="config/demo.yaml", show_default=True)
@click.option("--results", default="results/demo", show_default=True, help="Its results folder.")
@click.option("--kills", default=30, show_default=True)
@click.option("--full", default=10, show_default=True, help="Kills on a full disk among them.")
@click.option("--latest", default=0.08, show_default=True, help="Share of the time, to a kill.")
@click.option("--seed", default=1, show_default=True)
def main(config: str, results: str, kills: int, full: int, latest: float, seed: int) -> None:
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        place = Path(folder).resolve()
        chaos = disturb(PROJECT / config, place, results, kills, full, latest, seed)
    for fault in chaos.faults:
        click.echo(f"FAULT: {fault}")
    click.echo(
        f"{chaos.kills} kills, {chaos.filled} of them on a full disk; {chaos.ends} times to the "
        f"end with the same tables; {chaos.kept:,} files of finished steps looked at after a kill, "
        f"{len(chaos.faults)} faults"
    )
    sys.exit(bool(chaos.faults))


if __name__ == "__main__":
    main()
