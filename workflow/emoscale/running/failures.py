"""Which steps failed in the latest runs and what their logs say, from Snakemake's own logs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from emoscale.running.graph import Step

_FAILED = re.compile(r"^Error in rule (?P<rule>\w+):\n(?P<body>(?:    .*\n)*)", flags=re.MULTILINE)
_OUTPUT = re.compile(r"^    output: (.+)$", flags=re.MULTILINE)
_ENDED = re.compile(
    r"^Command '(?P<command>.*)' (?:returned non-zero exit status (?P<status>\d+)|"
    r"died with <Signals\.\w+: (?P<signal>\d+)>)",
    flags=re.MULTILINE,
)
_KILLED = 128 + 9
_SCARCE_MEGABYTES = 10.0
_CRASHES = {128 + 6: "abort", 128 + 7: "bus error", 128 + 11: "segmentation fault"}
_SETTINGS = {
    "train": ["lower training.batch_utterances, which changes the numbers"],
    "extract_features": ["lower the representation's window_seconds, where it has one"],
    "extract_perturbed": ["lower the representation's window_seconds, where it has one"],
}
"""What else helps, by rule."""
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
    killed: str = ""
    """What it died of without being able to say so, and what helps; empty where it did not."""


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
                killed = _killed(step, text, match["body"])
                found[step.name] = Failure(step, where, last_line(where), log, killed)
    return list(found.values())


def _killed(step: Step, text: str, body: str) -> str:
    """What the end of its process says, from what Snakemake writes before the error."""
    ends = [
        int(end["status"] or 128 + int(end["signal"]))
        for end in _ENDED.finditer(text)
        if any(log in end["command"] for log in step.logs)
    ]
    status = ends[-1] if ends else 0
    if status == _KILLED or "OUT_OF_MEMORY" in body:  # the latter as SLURM has it
        asked = f"it asked for {step.memory_mb:,} MB" if step.memory_mb else "it asked for none"
        more = 2 * step.memory_mb or 4000
        ways = [
            "run fewer steps at once (--cores)",
            f"ask for more (--set-resources {step.rule}:mem_mb={more})",
            *_SETTINGS.get(step.rule, []),
        ]
        return f"killed, most likely because memory ran out: {asked}; {', or '.join(ways)}"
    free = _free_megabytes(step.outputs)
    if status == 1 and free < _SCARCE_MEGABYTES and not any(map(last_line, step.logs)):
        return f"its log is empty, and the disk has {free:,.1f} MB free: make room, then run again"
    if status in _CRASHES:
        return f"crashed ({_CRASHES[status]}): a library failed, or memory ran out"
    return ""


def _free_megabytes(outputs: Iterable[str]) -> float:
    """On the disk of the first output's folder, or of the nearest that is there."""
    place = Path(next(iter(outputs), ".")).absolute().parent
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free / 1e6


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
