"""How far a study is: what is done, to do, failed or half done, and whether a run is going on."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoscale.running.failures import Failure, failures_of
from emoscale.running.graph import Graph
from emoscale.running.lock import Lock, last_logs, read_lock, seconds_since

_PROGRESS = re.compile(r"^(\d+) of (\d+) steps", flags=re.MULTILINE)


@dataclass(frozen=True)
class RuleStatus:
    """Counts of one rule's steps; they add up to all of them."""

    rule: str
    done: int
    to_do: int
    failed: int
    interrupted: int
    """Half done: under way while a run is going on, else stopped with it and done again."""


@dataclass(frozen=True)
class Status:
    """How far a study is."""

    graph: Graph
    rules: tuple[RuleStatus, ...]
    failures: tuple[Failure, ...]
    lock: Lock | None
    progress: tuple[int, int] | None
    """Of the run that holds the lock: steps done, steps in all."""

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "study": self.graph.study.study,
            "folder": self.graph.study.folder,
            "rules": [vars(rule) for rule in self.rules],
            "failures": [
                {
                    "step": failure.step.name,
                    "outputs": list(failure.step.outputs),
                    "log": failure.log,
                    "says": failure.says,
                    "killed": failure.killed,
                    "run": str(failure.run),
                }
                for failure in self.failures
            ],
            "run": None
            if self.lock is None
            else {
                "alive_here": self.lock.alive,
                "processes": list(self.lock.processes),
                "seconds": seconds_since(self.lock.since),
                "progress": self.progress,
            },
        }


def status_of(graph: Graph) -> Status:
    """Sort the study's steps by how they stand, in the order of the data."""
    logs, lock = last_logs(), read_lock()
    if lock is not None and not lock.concerns(graph.study.folder):
        lock = None
    failures = failures_of(graph.steps, logs)
    failed = {failure.step.name for failure in failures}
    counts: dict[str, dict[str, int]] = {}
    for step in graph.steps:
        kind = "done"
        if step.runs:
            kind = "interrupted" if step.reason.interrupted else "to_do"
            kind = "failed" if step.name in failed else kind
        of_rule = counts.setdefault(
            step.rule, {"done": 0, "to_do": 0, "failed": 0, "interrupted": 0}
        )
        of_rule[kind] += 1
    return Status(
        graph=graph,
        rules=tuple(RuleStatus(rule, **counts[rule]) for rule in graph.rules()),
        failures=tuple(failures),
        lock=lock,
        progress=_progress(logs) if lock is not None and lock.alive else None,
    )


def _progress(logs: list[Path]) -> tuple[int, int] | None:
    if not logs:
        return None
    found = _PROGRESS.findall(logs[0].read_text(encoding="utf-8", errors="replace"))
    return (int(found[-1][0]), int(found[-1][1])) if found else None
