"""Table the jobs that a run submitted to SLURM: how each ended, what it asked for and used."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from emoscale.command import shows_sentences
from emoscale.errors import ConfigurationError
from emoscale.files import atomic_path
from emoscale.running.amounts import duration_words
from emoscale.running.graph import read_graph
from emoscale.running.lock import last_logs
from emoscale.running.options import study_options, terminal
from emoscale.running.slurm_jobs import (
    AccountingError,
    JobRow,
    Submitted,
    accounts_of,
    job_rows,
    submitted_jobs,
)

_FAILURES_SHOWN = 20


@click.command(help=__doc__)
@study_options
@click.option(
    "--run",
    "log",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Snakemake's log of another run than the last that submitted anything.",
)
@click.option("--all", "every", is_flag=True, help="Show every job, not only rules and failures.")
@click.option("--csv", "table", type=click.Path(path_type=Path), help="Write every job there.")
@click.option("--json", "for_programs", is_flag=True, help="Every job as JSON.")
@shows_sentences
def main(
    configfile: tuple[Path, ...],
    config: tuple[str, ...],
    log: Path | None,
    every: bool,
    table: Path | None,
    for_programs: bool,
) -> None:
    log, jobs = _run_of(log)
    steps = read_graph(configfile, config).steps
    console = terminal()
    try:
        accounts = accounts_of([job.job for job in jobs])
    except AccountingError as error:
        accounts = []
        click.echo(
            f"Without accounting, only what Snakemake saw is shown: {error}. Memory and time of "
            "the steps that were done stand in the benchmarks of the study.",
            err=True,
        )
    rows = job_rows(jobs, accounts, steps)
    if table is not None:
        with atomic_path(table) as path, open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0].as_json()))
            writer.writeheader()
            writer.writerows(row.as_json() for row in rows)
    if for_programs:
        click.echo(json.dumps([row.as_json() for row in rows], indent=2, ensure_ascii=False))
        return
    console.print(f"{len(jobs):,} jobs of the run in {escape(str(log))}", soft_wrap=True)
    console.print(_table_of_jobs(rows) if every else _table_of_rules(rows))
    _show_failures(rows, console)


def _run_of(log: Path | None) -> tuple[Path, list[Submitted]]:
    for path in [log] if log is not None else last_logs():
        if jobs := submitted_jobs(path):
            return path, jobs
    where = str(log) if log is not None else "No run of this folder's .snakemake/log"
    raise ConfigurationError(
        f"{where} submitted no job to SLURM; run this where Snakemake was run, or name its log "
        "with --run"
    )


def _table_of_rules(rows: Sequence[JobRow]) -> Table:
    table = Table()
    table.add_column("rule")
    headings = ("jobs", "failed", "largest memory used", "of", "longest", "of")
    for heading in headings:
        table.add_column(heading, justify="right")
    for rule in dict.fromkeys(row.rule for row in rows):
        own = [row for row in rows if row.rule == rule]
        failed = sum(bool(row.reason) for row in own)
        memory = max(own, key=lambda row: row.used_mb or 0)
        longest = max(own, key=lambda row: row.used_seconds or 0)
        table.add_row(
            rule,
            f"{len(own):,}",
            f"{failed:,}" if failed else "",
            *_amounts(memory)[:2],
            *_amounts(longest)[2:],
        )
    return table


def _table_of_jobs(rows: Sequence[JobRow]) -> Table:
    table = Table()
    for heading in ("step", "job", "state"):
        table.add_column(heading)
    for heading in ("memory used", "of", "time", "of"):
        table.add_column(heading, justify="right")
    for row in rows:
        table.add_row(escape(row.step), row.job, row.state, *_amounts(row))
    return table


def _amounts(row: JobRow) -> tuple[str, str, str, str]:
    return (
        f"{row.used_mb:,.0f} MB" if row.used_mb is not None else "",
        f"{row.asked_mb:,.0f} MB" if row.asked_mb is not None else "",
        duration_words(row.used_seconds) if row.used_seconds is not None else "",
        duration_words(60 * row.asked_minutes) if row.asked_minutes is not None else "",
    )


def _show_failures(rows: Sequence[JobRow], console: Console) -> None:
    failed = [row for row in rows if row.reason]
    if not failed:
        return
    done = {row.step for row in rows if row.state == "COMPLETED"}
    console.print("\n[bold]Did not succeed:[/]")
    for row in failed[:_FAILURES_SHOWN]:
        later = "; another attempt succeeded" if row.step in done else ""
        console.print(
            f"  {escape(row.step)} (job {row.job}): {escape(row.reason)}{later}", soft_wrap=True
        )
        if row.log:
            console.print(f"    log: {escape(row.log)}", soft_wrap=True)
    further = len(failed) - _FAILURES_SHOWN
    if further > 0:
        console.print(f"  and {further:,} more: --csv jobs.csv, or --json", soft_wrap=True)


if __name__ == "__main__":
    main()
