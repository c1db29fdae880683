"""Reads damaged inputs in processes that may crash or hang, and says how each one ended."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from random import Random
from typing import Any

from tests.conftest import PROJECT

ACCEPTED, REFUSED = "accepted", "refused with a sentence"
TRACEBACK, HANG, CRASH, ELSEWHERE = "traceback", "hang", "crash", "written elsewhere"
OUTCOMES = (ACCEPTED, REFUSED, TRACEBACK, HANG, CRASH, ELSEWHERE)

MEMORY_BYTES = 12 << 30  # of addresses: what a header promises is to be asked for by nobody
START_SECONDS = 120.0

Task = tuple[str, int]
"""Name of a kind, and number of an input."""


@dataclass(frozen=True)
class Ending:
    """How one input ended."""

    kind: str
    number: int
    outcome: str
    detail: str
    seconds: float


def run(tasks: Sequence[Task], workers: int, limit_seconds: float) -> Iterator[Ending]:
    """The ending of each task, in any order; a process that crashes or hangs is replaced."""
    waiting = list(reversed(tasks))
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        pool = [_Worker(Path(folder) / f"worker{number}") for number in range(workers)]
        try:
            while waiting or any(worker.task for worker in pool):
                for worker in pool:
                    if worker.ready and worker.task is None and waiting:
                        worker.give(waiting.pop())
                wait([worker.answers for worker in pool], timeout=0.2)
                for worker in pool:
                    ending = worker.ending(limit_seconds)
                    if ending is not None:
                        yield ending
        finally:
            for worker in pool:
                worker.end()


class _Worker:
    """A process that reads one input after another."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.task: Task | None = None
        self.ready = False
        self._start()

    def _start(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
        (self._folder / "inside").mkdir(parents=True)
        if str(PROJECT) not in sys.path:  # which the process gets; some package installs a `tests`
            sys.path.insert(0, str(PROJECT))
        context = multiprocessing.get_context("spawn")
        self.answers, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, str(self._folder)), daemon=True)
        self._process.start()
        theirs.close()
        self.ready = False
        self._since = time.monotonic()

    def give(self, task: Task) -> None:
        self.task, self._since = task, time.monotonic()
        self.answers.send(task)

    def ending(self, limit_seconds: float) -> Ending | None:
        """What became of the task, once something did."""
        seconds = time.monotonic() - self._since
        with contextlib.suppress(EOFError, ConnectionError):
            if self.answers.poll():
                answer = self.answers.recv()
                if answer == "ready":
                    self.ready = True
                    return None
                outcome, detail = answer
                return self._ended(outcome, detail, seconds)
            if seconds < (limit_seconds if self.ready else START_SECONDS):
                return None
        self._process.join(0.5 if seconds >= limit_seconds else 10.0)  # it may still be ending
        code = self._process.exitcode
        if self.task is None:
            raise RuntimeError(f"a process of the fuzz run does not start (exit status {code})")
        outcome, detail = (HANG, f"more than {limit_seconds} s")
        if code is not None:
            outcome = CRASH
            detail = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        ending = self._ended(outcome, detail, seconds)
        self.end()
        self._start()
        return ending

    def _ended(self, outcome: str, detail: str, seconds: float) -> Ending:
        assert self.task is not None
        (kind, number), self.task = self.task, None
        return Ending(kind, number, outcome, detail, seconds)

    def end(self) -> None:
        self._process.kill()
        self._process.join()
        self.answers.close()


def _work(answers: Connection, folder: str) -> None:
    """Body of a process: valid inputs are made once, each task damages and reads a copy."""
    os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false", OMP_NUM_THREADS="1")
    sys.dont_write_bytecode = True
    inside = Path(folder) / "inside"
    os.chdir(inside)
    tempfile.tempdir = str(inside)
    silent = os.open(os.devnull, os.O_WRONLY)  # libraries in C complain of what they refuse
    os.dup2(silent, 1)
    os.dup2(silent, 2)

    from tests.fuzz.fence import Fence
    from tests.fuzz.kinds import KINDS

    fence = Fence(inside)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    answers.send("ready")
    while True:
        try:
            name, number = answers.recv()
        except EOFError:
            return
        kind = KINDS[name]
        valid = inside / f"valid {name}"
        if not valid.exists():
            valid.mkdir()
            kind.make(valid)
            kind.read(valid)  # what is not accepted undamaged proves nothing
        place = inside / "damaged"
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(valid, place, symlinks=True)
        kind.change(place, Random(f"{name} {number}"))
        fence.start()
        outcome, detail = _read(kind, place)
        elsewhere = fence.stop()
        if elsewhere:
            outcome, detail = ELSEWHERE, "; ".join(elsewhere[:3])
        answers.send((outcome, detail))


def _read(kind: Any, place: Path) -> tuple[str, str]:
    from emoscale.runtime.errors import UserError
    from tests.fuzz.sentence import fault_of

    try:
        kind.read(place)
    except UserError as error:
        fault = fault_of(error, place)
        if fault:
            return TRACEBACK, f"{fault}: {error}"
        return REFUSED, str(error)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        frames = traceback.extract_tb(error.__traceback__)
        ours = [frame for frame in frames if "emoscale" in frame.filename] or frames
        where = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"
        return TRACEBACK, f"{type(error).__name__} at {where}: {str(error)[:200]!r}"
    return ACCEPTED, ""
