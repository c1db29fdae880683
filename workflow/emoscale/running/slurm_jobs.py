"""The jobs that a run submitted to SLURM: what each asked for and used, how it ended, and why."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from emoscale.errors import UserError, reason_of
from emoscale.running.failures import last_line
from emoscale.running.graph import Step

# As snakemake-executor-plugin-slurm 2.8 writes it.
_SUBMITTED = re.compile(
    r"^Job (?P<step>\S+) has been submitted with SLURM jobid (?P<job>\d+) \(log: (?P<log>.+)\)\.$",
    flags=re.MULTILINE,
)
_MESSAGE_OF_ERROR = re.compile(
    r"SLURM-job '(?P<job>[\d_]+)' failed, SLURM status is: '(?P<state>[^']+)'"
)
_FIELDS = (
    *("JobID", "State", "ExitCode", "ElapsedRaw", "TimelimitRaw"),
    *("ReqMem", "NCPUS", "NNodes", "MaxRSS"),
)
_JOBS_A_QUERY = 500
_MEGABYTES = {"K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0**2}
_REASONS = {
    "TIMEOUT": "over its time",
    "OUT_OF_MEMORY": "over its memory",
    "NODE_FAIL": "its node was lost",
    "PREEMPTED": "gave way to another job",
    "REQUEUED": "requeued",
    "BOOT_FAIL": "its node did not start",
    "DEADLINE": "could not end before its deadline",
}


@dataclass(frozen=True)
class Submitted:
    """A job as Snakemake's log has it."""

    job: str
    """Its number in SLURM."""

    rule: str
    values: str
    """Of its wildcards, joined by underscores, as the folder of its log is called."""

    log: str
    """What SLURM kept of its output, where it did not succeed."""

    failed: str
    """The state with which Snakemake saw it fail; empty where it did not."""


@dataclass(frozen=True)
class Account:
    """What SLURM's accounting says of one time that a job was started."""

    job: str
    state: str
    """In SLURM's words, without who cancelled it."""

    exit_code: int
    signal: int
    elapsed_seconds: int
    limit_minutes: int | None
    asked_mb: float | None
    used_mb: float | None
    """The job's script and the largest step beside it; None where nothing was measured."""


@dataclass(frozen=True)
class JobRow:
    """One time that a step was a job."""

    rule: str
    step: str
    job: str
    state: str
    reason: str
    """Why it did not succeed; empty where it did or is not known to have ended."""

    asked_mb: float | None
    used_mb: float | None
    asked_minutes: int | None
    used_seconds: int | None
    log: str
    """The step's own log, or what SLURM kept where that says nothing."""

    def as_json(self) -> dict[str, Any]:
        """The same for programs."""
        return asdict(self)


class AccountingError(UserError):
    """SLURM's accounting does not answer."""


def submitted_jobs(log: Path) -> list[Submitted]:
    """The jobs that one of Snakemake's own logs names, in the order of submission."""
    text = log.read_text(encoding="utf-8", errors="replace")
    failed = {match["job"]: match["state"] for match in _MESSAGE_OF_ERROR.finditer(text)}
    found = []
    for match in _SUBMITTED.finditer(text):
        parts = Path(match["log"]).parts
        # …/rule_<name>/<wildcards>/<job>.log, without the middle where there are no wildcards
        place = next((at for at in (-3, -2) if len(parts) >= -at and _is_kind(parts[at])), None)
        name = parts[place].partition("_")[2] if place is not None else ""
        values = parts[-2] if place == -3 else ""
        job = match["job"]
        found.append(Submitted(job, name, values, match["log"], failed.get(job, "")))
    return found


def accounts_of(
    jobs: Sequence[str], ask: Callable[[Sequence[str]], str] | None = None
) -> list[Account]:
    """What `sacct` says of these jobs, each start of a requeued one on its own.

    `ask` runs a command and gives what it prints. Raises `AccountingError` where it cannot.
    """
    ask = ask or _run
    found = []
    for first in range(0, len(jobs), _JOBS_A_QUERY):
        some = ",".join(jobs[first : first + _JOBS_A_QUERY])
        fields = f"--format={','.join(_FIELDS)}"
        found += parse_accounts(
            ask(["sacct", "--duplicates", "--parsable2", "--noheader", fields, "--jobs", some])
        )
    return found


def parse_accounts(text: str) -> list[Account]:
    """Accounts from sacct's lines: a job's own line, followed by those of its steps."""
    starts: list[tuple[dict[str, str], dict[str, float]]] = []
    for line in text.splitlines():
        row = dict(zip(_FIELDS, line.split("|"), strict=False))
        if len(row) < len(_FIELDS):
            continue
        if "." not in row["JobID"]:
            starts.append((row, {}))
        elif starts and starts[-1][0]["JobID"] == row["JobID"].split(".")[0]:
            used = _megabytes(row["MaxRSS"])
            if used is not None:
                starts[-1][1][row["JobID"].split(".")[1]] = used
    return [_account(row, used) for row, used in starts]


def job_rows(
    submitted: Iterable[Submitted], accounts: Iterable[Account], steps: Iterable[Step]
) -> list[JobRow]:
    """One row for each start of each job; without accounts, what Snakemake saw of it."""
    by_job: dict[str, list[Account]] = {}
    for account in accounts:
        by_job.setdefault(account.job, []).append(account)
    named = {(step.rule, _values(step.wildcards)): step for step in steps}
    rows = []
    for job in submitted:
        step = named.get((job.rule, job.values))
        starts = by_job.get(job.job, [])
        rows += [_row(job, account, step) for account in starts] or [_row(job, None, step)]
    return rows


def _row(job: Submitted, account: Account | None, step: Step | None) -> JobRow:
    own = step.logs[0] if step is not None and step.logs else ""
    kept = job.log if Path(job.log).exists() else ""
    state = account.state if account is not None else job.failed
    reason = _reason(state, account, own, kept)
    # A step that was ended from outside has a log of its own that says nothing of it.
    log = own if not reason or last_line(own or None) or not kept else kept
    return JobRow(
        rule=job.rule,
        step=step.name if step is not None else " ".join([job.rule, job.values]).strip(),
        job=job.job,
        state=state,
        reason=reason,
        asked_mb=account.asked_mb if account else None,
        used_mb=account.used_mb if account else None,
        asked_minutes=account.limit_minutes if account else None,
        used_seconds=account.elapsed_seconds if account else None,
        log=log or kept,
    )


def _reason(state: str, account: Account | None, own: str, kept: str) -> str:
    if state in {"", "COMPLETED", "RUNNING", "PENDING", "COMPLETING", "SUSPENDED"}:
        return ""
    short = account is not None and _is_short_of_memory(account)
    if state == "CANCELLED":
        return "over its memory" if short else "cancelled"
    if state in _REASONS:
        return _REASONS[state]
    if short:
        return "over its memory"
    says = last_line(own or None) or last_line(kept or None)
    if says:
        return says
    ended = account is not None and (account.signal or account.exit_code)
    return f"ended with {ended}" if ended else state.lower()


def _is_short_of_memory(account: Account) -> bool:
    """Where SLURM measures memory itself and kills, it leaves no other mark."""
    asked, used = account.asked_mb, account.used_mb
    return asked is not None and used is not None and used > asked


def _account(row: Mapping[str, str], used: Mapping[str, float]) -> Account:
    exit_code, _, signal = row["ExitCode"].partition(":")
    limit, memory = row["TimelimitRaw"], row["ReqMem"]
    steps = [megabytes for step, megabytes in used.items() if step != "batch"]
    asked = _megabytes(memory.rstrip("cn"))
    if asked is not None and memory.endswith("c"):  # SLURM before 21.08: a CPU, or a node
        asked *= int(row["NCPUS"] or 1)
    elif asked is not None and memory.endswith("n"):
        asked *= int(row["NNodes"] or 1)
    return Account(
        job=row["JobID"],
        state=row["State"].split(" ")[0],
        exit_code=int(exit_code or 0),
        signal=int(signal or 0),
        elapsed_seconds=int(row["ElapsedRaw"] or 0),
        limit_minutes=int(limit) if limit.isdigit() else None,
        asked_mb=asked,
        used_mb=used.get("batch", 0.0) + max(steps, default=0.0) if used else None,
    )


def _megabytes(words: str) -> float | None:
    """
    >>> _megabytes("2000M"), _megabytes("1.50G"), _megabytes("128604K"), _megabytes("")
    (2000.0, 1536.0, 125.58984375, None)
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)", words)
    if match is None:
        return None
    unit = _MEGABYTES[match[2]] if match[2] else 1 / 1024**2
    return float(match[1]) * unit


def _is_kind(folder: str) -> bool:
    return folder.startswith(("rule_", "group_"))


def _values(wildcards: Mapping[str, str]) -> str:
    return "_".join(wildcards.values()).replace("/", "_")


def _run(words: Sequence[str]) -> str:
    try:
        ran = subprocess.run(words, capture_output=True, text=True)
    except OSError as error:
        raise AccountingError(f"{words[0]} cannot be run ({reason_of(error)})") from None
    if ran.returncode:
        raise AccountingError(f"{words[0]}: {ran.stderr.strip() or 'failed'}")
    return ran.stdout
