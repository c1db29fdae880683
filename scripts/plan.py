"""Say before a run what will run and why, what is reused, and what it will take."""

import json
import os
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from emoscale.command import shows_sentences
from emoscale.running.amounts import bytes_words, duration_words
from emoscale.running.graph import read_graph
from emoscale.running.options import study_options, terminal
from emoscale.running.plan import Plan, RulePlan, plan_run

_CAUSES_SHOWN = 3
_RULES_SHOWN = 5


@click.command(help=__doc__)
@study_options
@click.option(
    "--cores",
    type=click.IntRange(min=1),
    default=os.cpu_count() or 1,
    show_default=True,
    help="Cores that the run will have, for the estimate.",
)
@click.option("--json", "for_programs", is_flag=True, help="The plan as JSON.")
@shows_sentences
def main(
    configfile: tuple[Path, ...], config: tuple[str, ...], cores: int, for_programs: bool
) -> None:
    plan = plan_run(read_graph(configfile, config), cores)
    if for_programs:
        click.echo(json.dumps(plan.as_json(), indent=2, ensure_ascii=False))
        return
    _show(plan, terminal())


def _show(plan: Plan, console: Console) -> None:
    runs = sum(rule.runs for rule in plan.rules)
    reused = sum(rule.reused for rule in plan.rules)
    study = plan.graph.study
    if not runs:
        console.print(f"{study.study}: nothing to run; all {reused} steps in {study.folder} stand.")
        return
    console.print(f"[bold]{study.study}[/]: {runs} steps to run, {reused} reused")
    console.print("\nWhat sets it off:")
    for change in plan.changes:
        reaches = ", ".join(f"{rule} × {count}" for rule, count in change.steps.items())
        if len(change.steps) > _RULES_SHOWN:
            reaches = f"{sum(change.steps.values()):,} steps of {len(change.steps)} rules"
        console.print(f"  {escape(str(change.cause))}  [dim]({reaches})[/]", soft_wrap=True)
    console.print()
    console.print(_table(plan))
    untouched = [rule.rule for rule in plan.rules if not rule.runs]
    if untouched:
        console.print(f"Reused as they are: {', '.join(untouched)}")
    _show_estimate(plan, console)
    console.print(
        "This is the most that can run: a step that leaves the same bytes as before ends the "
        "change there, and what follows it is left out."
    )


def _table(plan: Plan) -> Table:
    table = Table(title_justify="left")
    table.add_column("step", no_wrap=True)
    for heading in ("run", "reused"):
        table.add_column(heading, justify="right")
    table.add_column("why", overflow="fold", ratio=1)
    for heading in ("work", "memory", "writes"):
        table.add_column(heading, justify="right", no_wrap=True)
    for rule in plan.rules:
        if rule.runs:
            table.add_row(
                rule.rule,
                f"{rule.runs:,}",
                f"{rule.reused:,}" if rule.reused else "",
                escape(_why(rule)),
                duration_words(rule.seconds) if rule.unknown < rule.runs else "?",
                bytes_words(1e6 * rule.memory_mb) if rule.memory_mb else "?",
                bytes_words(rule.bytes) if rule.bytes else "?",
            )
    return table


def _why(rule: RulePlan) -> str:
    roots: dict[str, int] = {}
    for cause, count in rule.causes:
        roots[cause.words] = roots.get(cause.words, 0) + count
    lines = [
        words if count == rule.runs else f"{words} ({count})" for words, count in roots.items()
    ]
    further = len(lines) - _CAUSES_SHOWN
    return "\n".join([*lines[:_CAUSES_SHOWN], *([f"and {further} more"] if further > 0 else [])])


def _show_estimate(plan: Plan, console: Console) -> None:
    estimate, basis = plan.estimate, plan.estimate.basis
    more = bytes_words(estimate.new_bytes) if estimate.new_bytes >= 1 else "nothing"
    if basis["own"] + basis["nearest"]:
        console.print(
            f"\nAbout [bold]{duration_words(estimate.seconds)}[/] on {estimate.cores} "
            f"core{'s' if estimate.cores > 1 else ''} ({duration_words(estimate.work_seconds)} of "
            f"work), {bytes_words(1e6 * estimate.memory_mb)} of memory if the largest steps "
            f"coincide, {more} more on disk."
        )
    else:
        console.print("\nHow long it takes is not known: no step of these rules has run yet.")
        return
    said = [
        f"{basis['own']} on their own last run" if basis["own"] else "",
        f"{basis['nearest']} on others of the same rule" if basis["nearest"] else "",
        f"{basis['none']} on nothing, and count as no time" if basis["none"] else "",
    ]
    console.print(
        f"The estimate rests, of {sum(basis.values())} steps: {', '.join(filter(None, said))}."
    )


if __name__ == "__main__":
    main()
