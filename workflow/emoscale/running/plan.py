"""The plan of a run: what will run a rule, why, what is reused and what it will take."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from emoscale.running.causes import Cause, Causes
from emoscale.running.estimate import Benchmarks, RunEstimate, StepEstimate, estimate_run
from emoscale.running.graph import Graph


@dataclass(frozen=True)
class RulePlan:
    """All steps of one rule."""

    rule: str
    runs: int
    reused: int
    causes: tuple[tuple[Cause, int], ...]
    """With the number of steps that each one holds for, most first."""
    seconds: float
    """Of work, one step after the other."""
    memory_mb: float
    """Of its largest step."""
    bytes: float
    """That it writes."""
    unknown: int
    """Steps that no record says anything of."""


@dataclass(frozen=True)
class Change:
    """What set the run off, with what it reaches."""

    cause: Cause
    steps: dict[str, int]
    """Steps a rule that run because of it themselves, not as followers."""


@dataclass(frozen=True)
class Plan:
    """What a run would do."""

    graph: Graph
    changes: tuple[Change, ...]
    rules: tuple[RulePlan, ...]
    estimate: RunEstimate

    def as_json(self) -> dict[str, Any]:
        """The same for programs; seconds, MB and bytes."""
        return {
            "study": self.graph.study.study,
            "folder": self.graph.study.folder,
            "steps_to_run": sum(rule.runs for rule in self.rules),
            "steps_reused": sum(rule.reused for rule in self.rules),
            "upper_bound": True,
            "changes": [
                {
                    "what": change.cause.words,
                    "old": change.cause.old,
                    "new": change.cause.new,
                    "steps": change.steps,
                }
                for change in self.changes
            ],
            "rules": [
                {
                    "rule": rule.rule,
                    "runs": rule.runs,
                    "reused": rule.reused,
                    "why": {str(cause): count for cause, count in rule.causes},
                    "seconds": rule.seconds,
                    "memory_mb": rule.memory_mb,
                    "bytes": rule.bytes,
                    "steps_without_record": rule.unknown,
                }
                for rule in self.rules
            ],
            "estimate": {
                "cores": self.estimate.cores,
                "seconds": self.estimate.seconds,
                "work_seconds": self.estimate.work_seconds,
                "memory_mb": self.estimate.memory_mb,
                "new_bytes": self.estimate.new_bytes,
                "rests_on": dict(self.estimate.basis),
            },
        }


def plan_run(graph: Graph, cores: int) -> Plan:
    """Gather what `graph` says would run, in the order of the data, with an estimate."""
    why, records = Causes(graph), Benchmarks(graph)
    to_run = graph.to_run()
    estimates = [records.of(step) for step in to_run]
    reached: dict[Cause, Counter[str]] = {}
    causes: dict[str, Counter[Cause]] = {}
    of_rule: dict[str, list[StepEstimate]] = {}
    for step, estimate in zip(to_run, estimates, strict=True):
        of_rule.setdefault(step.rule, []).append(estimate)
        for cause in why.of(step):
            causes.setdefault(step.rule, Counter())[cause] += 1
            if cause.root:
                reached.setdefault(cause, Counter())[step.rule] += 1
    counts = Counter(step.rule for step in graph.steps)
    return Plan(
        graph=graph,
        changes=tuple(Change(cause, dict(rules)) for cause, rules in reached.items()),
        rules=tuple(
            _of_rule(rule, counts[rule], of_rule.get(rule, []), causes.get(rule, Counter()))
            for rule in graph.rules()
        ),
        estimate=estimate_run(to_run, estimates, cores),
    )


def _of_rule(
    rule: str, steps: int, estimates: list[StepEstimate], causes: Counter[Cause]
) -> RulePlan:
    return RulePlan(
        rule=rule,
        runs=len(estimates),
        reused=steps - len(estimates),
        causes=tuple(causes.most_common()),
        seconds=sum(estimate.seconds for estimate in estimates),
        memory_mb=max((estimate.memory_mb for estimate in estimates), default=0.0),
        bytes=sum(estimate.bytes for estimate in estimates),
        unknown=sum(estimate.basis == "none" for estimate in estimates),
    )
