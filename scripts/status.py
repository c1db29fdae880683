"""Say how far a study is, what failed and where its log is, and whether a run is going on."""

import json
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from emoscale.command import shows_sentences
from emoscale.running.amounts import duration_words
from emoscale.running.graph import read_graph
from emoscale.running.lock import seconds_since
from emoscale.running.options import study_options, terminal
from emoscale.running.status import Status, status_of

_FAILURES_SHOWN = 10


@click.command(help=__doc__)
@study_options
@click.option("--json", "for_programs", is_flag=True, help="The status as JSON.")
@shows_sentences
def main(configfile: tuple[Path, ...], config: tuple[str, ...], for_programs: bool) -> None:
    status = status_of(read_graph(configfile, config))
    if for_programs:
        click.echo(json.dumps(status.as_json(), indent=2, ensure_ascii=False))
        return
    console = terminal()
    done = sum(rule.done for rule in status.rules)
    total = len(status.graph.steps)
    console.print(
        f"[bold]{status.graph.study.study}[/]: {done:,} of {total:,} steps done "
        f"({100 * done // max(1, total)} %)"
    )
    _show_run(status, console)
    if done < total:
        console.print(_table(status))
    _show_failures(status, console)
    if done < total and status.lock is None:
        console.print("What would run now, and why: scripts/plan.py", soft_wrap=True)


def _show_run(status: Status, console: Console) -> None:
    lock = status.lock
    if lock is None:
        console.print("No run is going on.")
        return
    since = duration_words(seconds_since(lock.since))
    if lock.alive:
        processes = ", ".join(map(str, lock.processes))
        said = f"A run is going on since {since} (process {processes})"
        if status.progress is not None:
            said += f": {status.progress[0]:,} of its {status.progress[1]:,} steps are done"
        console.print(f"{said}.", soft_wrap=True)
    else:
        console.print(
            f"[bold]The lock of a run{lock.elsewhere} is {since} old, and no Snakemake works "
            "here[/]: it was killed, or works on another machine. If it does not work any more, "
            "unlock and run again: snakemake --unlock",
            soft_wrap=True,
        )


def _table(status: Status) -> Table:
    table = Table()
    half_done = "under way" if status.lock is not None and status.lock.alive else "interrupted"
    table.add_column("step")
    for heading in ("done", "to do", "failed", half_done):
        table.add_column(heading, justify="right")
    for rule in status.rules:
        counts = (rule.done, rule.to_do, rule.failed, rule.interrupted)
        table.add_row(rule.rule, *(f"{count:,}" if count else "" for count in counts))
    return table


def _show_failures(status: Status, console: Console) -> None:
    if not status.failures:
        return
    console.print("\n[bold]Failed:[/]")
    for failure in status.failures[:_FAILURES_SHOWN]:
        console.print(f"  {escape(failure.step.name)}", soft_wrap=True)
        if failure.killed:
            console.print(f"    {escape(failure.killed)}", soft_wrap=True)
        if failure.says:
            console.print(f"    {escape(failure.says)}", soft_wrap=True)
        if failure.log:
            console.print(f"    log: {escape(failure.log)}", soft_wrap=True)
    further = len(status.failures) - _FAILURES_SHOWN
    if further > 0:
        console.print(f"  and {further:,} more: scripts/status.py --json", soft_wrap=True)


if __name__ == "__main__":
    main()
