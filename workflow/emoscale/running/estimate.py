"""What a run will take, from the benchmarks that earlier runs left."""

from __future__ import annotations

import csv
import heapq
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from emoscale.running.graph import Graph, Step

Basis = Literal["own", "nearest", "none"]
"""own: it ran before; nearest: others of its rule did; none: none of its rule has a record."""


@dataclass(frozen=True)
class StepEstimate:
    """What one step takes."""

    seconds: float = 0.0
    memory_mb: float = 0.0
    """Largest resident memory, MB."""
    bytes: float = 0.0
    """Of its outputs on disk."""
    bytes_now: float = 0.0
    """Of what is there already and is written again."""
    basis: Basis = "none"


@dataclass(frozen=True)
class RunEstimate:
    """What a whole run takes with so many cores."""

    cores: int
    work_seconds: float
    seconds: float
    memory_mb: float
    """With as many of the largest steps at once as there are cores."""
    new_bytes: float
    """Beyond what is on disk now."""
    basis: dict[Basis, int]
    """How many steps each kind of record stands for."""


class Benchmarks:
    """The records of one study: seconds, memory and bytes of each step that ran."""

    def __init__(self, graph: Graph) -> None:
        self._folder = Path(graph.study.folder) / "benchmarks"
        self._records: dict[str, list[tuple[tuple[str, ...], float, float]]] = {}
        self._made: dict[str, list[tuple[Step, float]]] = {}
        for path in sorted(self._folder.rglob("*.tsv")):
            measured = _read(path)
            parts = path.relative_to(self._folder).with_suffix("").parts
            if measured is not None:
                self._records.setdefault(parts[0], []).append((parts[1:], *measured))
        for step in graph.steps:
            if all(os.path.lexists(path) for path in step.outputs):
                size = sum(map(bytes_of, step.outputs))
                self._made.setdefault(step.rule, []).append((step, size))

    def of(self, step: Step) -> StepEstimate:
        """A step's own record, or the mean of those that share most of its wildcards."""
        now = sum(map(bytes_of, step.outputs))
        size = float(now)
        if not now:
            alike = [
                (sum(other.wildcards.get(key) == value for key, value in step.wildcards.items()), n)
                for other, n in self._made.get(step.rule, [])
            ]
            best = max((score for score, _ in alike), default=0)
            size = _mean([n for score, n in alike if score == best])
        if step.benchmark is None:
            return StepEstimate(bytes=size, bytes_now=now)
        own = Path(step.benchmark).relative_to(self._folder).with_suffix("").parts
        records = self._records.get(own[0], [])
        shared = [
            sum(a == b for a, b in zip(parts, own[1:], strict=False)) for parts, *_ in records
        ]
        most = max(shared, default=0)
        chosen = [record for record, score in zip(records, shared, strict=True) if score == most]
        if not chosen:
            return StepEstimate(bytes=size, bytes_now=now)
        basis: Basis = "own" if chosen[0][0] == own[1:] else "nearest"
        return StepEstimate(
            seconds=_mean([seconds for _, seconds, _ in chosen]),
            memory_mb=max(memory for *_, memory in chosen),
            bytes=size,
            bytes_now=now,
            basis=basis,
        )


def estimate_run(steps: Sequence[Step], each: Sequence[StepEstimate], cores: int) -> RunEstimate:
    """Add up the steps of a run, in an order in which they can run, on `cores` cores."""
    counted: dict[Basis, int] = {"own": 0, "nearest": 0, "none": 0}
    for estimate in each:
        counted[estimate.basis] += 1
    largest = heapq.nlargest(cores, (estimate.memory_mb for estimate in each))
    return RunEstimate(
        cores=cores,
        work_seconds=sum(estimate.seconds for estimate in each),
        seconds=_makespan(steps, each, cores),
        memory_mb=sum(largest),
        new_bytes=sum(max(0.0, estimate.bytes - estimate.bytes_now) for estimate in each),
        basis=counted,
    )


def _makespan(steps: Sequence[Step], each: Sequence[StepEstimate], cores: int) -> float:
    """Seconds until all is done, where each step starts as soon as its inputs and cores allow."""
    ends: dict[str, float] = {}
    free = [0.0] * cores
    for step, estimate in zip(steps, each, strict=True):
        taken = [heapq.heappop(free) for _ in range(min(step.threads, cores))]
        begin = max(taken[-1], *(ends.get(path, 0.0) for path in step.inputs), 0.0)
        for _ in taken:
            heapq.heappush(free, begin + estimate.seconds)
        ends.update(dict.fromkeys(step.outputs, begin + estimate.seconds))
    return max(ends.values(), default=0.0)


def bytes_of(path: str) -> int:
    """Bytes of a file or of all files in a folder; links are not followed."""
    try:
        status = os.lstat(path)
    except OSError:
        return 0
    if stat.S_ISDIR(status.st_mode):
        with os.scandir(path) as entries:
            return sum(bytes_of(entry.path) for entry in entries)
    return status.st_size if stat.S_ISREG(status.st_mode) else 0


def _read(path: Path) -> tuple[float, float] | None:
    """Seconds and MB of a benchmark; none where it is not whole, which is no harm here."""
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file, delimiter="\t"))
    except (OSError, UnicodeDecodeError, csv.Error):
        return None
    found = [_number(row.get("s")) for row in rows]
    # Snakemake takes two times of the clock, which may be set back between them.
    seconds = [number for number in found if number is not None and number >= 0]
    memory = [_number(row.get("max_rss")) or 0.0 for row in rows]
    return (_mean(seconds), max(memory)) if seconds else None


def _number(text: str | None) -> float | None:
    """A step shorter than Snakemake looks has no memory: `-` or `NA`."""
    try:
        return float(text) if text is not None else None
    except ValueError:
        return None


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
