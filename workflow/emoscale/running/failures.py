"""Which steps failed in the latest runs and what their logs say, from Snakemake's own logs."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from emoscale.running.graph import Step

_FAILED = re.compile(r"^Error in rule (?P<rule>\w+):\n(?P<body>(?:    .*\n)*)", flags=re.MULTILINE)
_OUTPUT = re.compile(r"^    output: (.+)$", flags=re.MULTILINE)
_RUNS_LOOKED_AT = 20
_LONGEST = 300


@dataclass(frozen=True)
class Failure:
    """A step that failed, and was not made since."""

    step: Step
    log: str | None
    """Its log, where there is one."""
    says: str
    """The last line of that log."""
    run: Path
    """Snakemake's log of the run in which it failed."""


def failures_of(steps: Iterable[Step], logs: Iterable[Path]) -> list[Failure]:
    """The steps that are still to be done and failed in one of the runs, the latest failure each.

    `logs` are Snakemake's own, the newest first.
    """
    waiting = {path: step for step in steps if step.runs for path in step.outputs}
    found: dict[str, Failure] = {}
    for log in list(logs)[:_RUNS_LOOKED_AT]:
        try:
            text = log.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            continue
        for match in _FAILED.finditer(text):
            outputs = _OUTPUT.search(match["body"])
            first = outputs[1].split(", ")[0] if outputs else ""
            step = waiting.get(first)
            if step is not None and step.name not in found:
                where = step.logs[0] if step.logs else None
                found[step.name] = Failure(step, where, last_line(where), log)
    return list(found.values())


def last_line(path: str | None) -> str:
    """The last line of a log that is not empty, without its colours; empty where there is none."""
    if path is None:
        return ""
    try:
        with open(path, "rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - 65_536))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return ""
    # A log may hold anything: what is no print stays out of the terminal.
    lines = ["".join(filter(str.isprintable, line)).strip() for line in text.splitlines()]
    says = next((line for line in reversed(lines) if line), "")
    return says if len(says) <= _LONGEST else says[: _LONGEST - 1] + "…"
