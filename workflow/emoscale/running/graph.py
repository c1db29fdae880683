"""What a run would do now, as Snakemake itself decides it in a dry run."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoscale.config import parse_study
from emoscale.config.configuration_file import read_configuration_file
from emoscale.config.study import Study
from emoscale.errors import ConfigurationError
from emoscale.running.parameters import Change, changes_of

SNAKEFILE = Path(__file__).resolve().parents[3] / "Snakefile"


@dataclass(frozen=True)
class Reason:
    """Why a step runs; all of it empty where it does not."""

    missing: tuple[str, ...] = ()
    """Outputs that are not there."""

    interrupted: bool = False
    """Whether a killed run left its output half done."""

    updated: tuple[str, ...] = ()
    """Inputs that hold something else than the step read."""

    behind: tuple[str, ...] = ()
    """Inputs that other steps of the same run make again."""

    changes: tuple[Change, ...] = ()
    """Parameters that are no longer those the step ran with."""

    other: tuple[str, ...] = ()
    """Snakemake's further reasons, in its words."""


@dataclass(frozen=True)
class Step:
    """One job of the study's graph."""

    rule: str
    wildcards: dict[str, str]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    logs: tuple[str, ...]
    benchmark: str | None
    threads: int
    memory_mb: int
    """What it asks for, MB."""
    runs: bool
    made_before: bool
    """Whether Snakemake has a record of having made all of its outputs."""
    reason: Reason

    @property
    def name(self) -> str:
        """Rule and wildcards, as a person would say it."""
        return " ".join([self.rule, *self.wildcards.values()])


@dataclass(frozen=True)
class Graph:
    """All steps of a study, in an order in which they can run."""

    study: Study
    steps: tuple[Step, ...]

    def to_run(self) -> list[Step]:
        """The steps that a run would do."""
        return [step for step in self.steps if step.runs]

    def rules(self) -> list[str]:
        """Its rules as the data flows: by how many steps lie before the last of each."""
        depth: dict[str, int] = {}
        deepest: dict[str, int] = {}
        for step in self.steps:
            here = 1 + max((depth.get(path, 0) for path in step.inputs), default=0)
            depth.update(dict.fromkeys(step.outputs, here))
            deepest[step.rule] = max(deepest.get(step.rule, 0), here)
        return sorted(deepest, key=lambda rule: (deepest[rule], rule))


def read_graph(configfiles: Sequence[Path | str] = (), overrides: Sequence[str] = ()) -> Graph:
    """Let Snakemake plan the study in the working folder, and read what it decides.

    `configfiles` and `overrides` are what `--configfile` and `--config` would be given; without
    any, the Snakefile's own default counts. Nothing is run and no lock is taken, and nothing that
    a file says is executed: what Snakemake would run as a template is refused before it is asked.
    Raises `ConfigurationError` with Snakemake's sentence where it cannot plan.
    """
    for path in configfiles:
        read_configuration_file(path)
    from snakemake.cli import args_to_api, parse_args

    arguments = ["--snakefile", str(SNAKEFILE), "--dry-run", "--quiet", "rules", "progress"]
    for option, values in (("--configfile", configfiles), ("--config", overrides)):
        arguments += [option, *map(str, values)] if values else []
    said = io.StringIO()
    with (
        _kept_workflows() as workflows,
        contextlib.redirect_stderr(said),
        contextlib.redirect_stdout(said),  # where a dry run's errors go
    ):
        try:
            parser, parsed = parse_args(arguments)
            planned = args_to_api(parsed, parser)
        except SystemExit:  # an option that it does not take
            planned = False
    if not planned or not workflows:
        named = "".join(f"{path}: " for path in configfiles)
        raise ConfigurationError(named + _sentence(said.getvalue()))
    workflow = workflows[-1]
    jobs = sorted(workflow.dag.jobs, key=lambda job: (str(job.rule.name), list(job.output)))
    steps = [_step(workflow, job) for job in jobs if job.output]
    return Graph(parse_study(workflow.config), tuple(_in_order(steps)))


@contextlib.contextmanager
def _kept_workflows() -> Iterator[list[Any]]:
    """Collects the workflows that Snakemake plans, which its interface does not give."""
    from snakemake.workflow import Workflow

    kept: list[Any] = []
    execute = Workflow.execute

    def execute_and_keep(self: Any, *arguments: Any, **options: Any) -> Any:
        result = execute(self, *arguments, **options)
        kept.append(self)
        return result

    Workflow.execute = execute_and_keep
    try:
        yield kept
    finally:
        Workflow.execute = execute


def _step(workflow: Any, job: Any) -> Step:
    graph, records = workflow.dag, workflow.persistence
    runs = graph.needrun(job)
    resources = job.resources
    return Step(
        rule=str(job.rule.name),
        wildcards={key: str(value) for key, value in job.wildcards_dict.items()},
        inputs=tuple(map(str, job.input)),
        outputs=tuple(map(str, job.output)),
        logs=tuple(map(str, job.log)),
        benchmark=str(job.benchmark) if job.benchmark else None,
        threads=int(job.threads),
        memory_mb=int(resources.get("mem_mb", 0) or 0),
        runs=runs,
        made_before=records.has_metadata(job),
        reason=_reason(records, job, graph.reason(job)) if runs else Reason(),
    )


def _reason(records: Any, job: Any, given: Any) -> Reason:
    behind = set(map(str, given.updated_input_run))
    # What is half done is forced by the profile's `rerun-incomplete`; the mark says which it is.
    interrupted = bool(records._filter_incomplete_keys([*map(records._get_key, job.output)]))
    changes: tuple[Change, ...] = ()
    if given.params_changed:
        now = {name: records._serialize_param(value) for name, value in job.params.items()}
        changes = changes_of(given.params_changed.only_old, given.params_changed.only_new, now)
    other = [
        words
        for holds, words in (
            (given.forced and not interrupted, "asked for"),
            (given.input_changed, "its set of inputs changed"),
            (given.code_changed, "its command changed"),
            (given.software_stack_changed, "its software environment changed"),
        )
        if holds
    ]
    return Reason(
        missing=tuple(sorted(map(str, given.missing_output))),
        interrupted=interrupted,
        updated=tuple(sorted(set(map(str, given.updated_input)) - behind)),
        behind=tuple(sorted(behind)),
        changes=changes,
        other=tuple(other),
    )


def _in_order(steps: list[Step]) -> list[Step]:
    """Each after those that make its inputs."""
    makers = {path: step for step in steps for path in step.outputs}
    ordered: dict[int, Step] = {}
    waiting = [(step, False) for step in reversed(steps)]
    while waiting:
        step, done = waiting.pop()
        if id(step) in ordered:
            continue
        if done:
            ordered[id(step)] = step
            continue
        waiting.append((step, True))
        before = {id(makers[path]): makers[path] for path in step.inputs if path in makers}
        waiting.extend((each, False) for each in before.values() if id(each) not in ordered)
    return list(ordered.values())


def _sentence(said: str) -> str:
    """What Snakemake said went wrong, without the place in our own rules."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if any(line.startswith("Traceback") for line in lines):  # its own; the last line says why
        lines = [re.sub(r"^\w+(Error|Exception): ", "", lines[-1])]
    own = re.compile(r'(WorkflowError\b.*|Using .*profile.*|Building DAG.*|host: .*|File ".*)')
    kept = [line for line in lines if not own.fullmatch(line)]
    return " ".join(kept) or "Snakemake cannot plan this study; run it with --dry-run to see why"
