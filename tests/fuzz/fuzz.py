"""Reads damaged inputs of every kind and counts how they end; any end but two is a failure.

    python -m tests.fuzz.fuzz --inputs 2000

Input number n of a kind is the same in every run; `--kind wav --first 17 --inputs 1` reads one
again.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Sequence

import click

from tests.fuzz.kinds import KINDS
from tests.fuzz.pool import ACCEPTED, OUTCOMES, REFUSED, Ending, Task, run


def tasks_of(kinds: Sequence[str], inputs: int, first: int = 0) -> list[Task]:
    """`inputs` damaged inputs, dealt to the kinds in turn; those of a kind one after another."""
    counts = [inputs // len(kinds) + (place < inputs % len(kinds)) for place in range(len(kinds))]
    return [
        (kind, number)
        for kind, count in zip(kinds, counts, strict=True)
        for number in range(first, first + count)
    ]


def failures_of(endings: Sequence[Ending]) -> list[Ending]:
    """Those that were neither accepted nor refused with a sentence."""
    return [ending for ending in endings if ending.outcome not in (ACCEPTED, REFUSED)]


def table_of(endings: Sequence[Ending]) -> str:
    """Kind, inputs, and how many ended in each way."""
    counts = Counter((ending.kind, ending.outcome) for ending in endings)
    kinds = list(dict.fromkeys(sorted(ending.kind for ending in endings)))
    rows = [["kind", "inputs", *OUTCOMES, "slowest"]]
    for kind in [*kinds, "all"]:
        own = [ending for ending in endings if kind in (ending.kind, "all")]
        total = [sum(counts[each, outcome] for each in kinds) for outcome in OUTCOMES]
        found = total if kind == "all" else [counts[kind, outcome] for outcome in OUTCOMES]
        slowest = max(ending.seconds for ending in own)
        rows.append([kind, str(len(own)), *map(str, found), f"{slowest:.1f} s"])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if place else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    )


@click.command(help=__doc__)
@click.option("--inputs", default=2000, show_default=True, help="Of all kinds together.")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(sorted(KINDS)))
@click.option("--first", default=0, show_default=True, help="Number of each kind's first input.")
@click.option("--workers", default=2, show_default=True)
@click.option("--limit", default=60.0, show_default=True, help="Seconds for an input.")
@click.option("--sentences", is_flag=True, help="Show what refused inputs were told.")
def main(
    inputs: int, kinds: tuple[str, ...], first: int, workers: int, limit: float, sentences: bool
) -> None:
    began = time.monotonic()
    endings = []
    for ending in run(tasks_of(kinds or sorted(KINDS), inputs, first), workers, limit):
        endings.append(ending)
        if failures_of([ending]) or (sentences and ending.outcome == REFUSED):
            click.echo(f"{ending.kind} {ending.number}: {ending.outcome}: {ending.detail}")
    click.echo(table_of(endings))
    failures = failures_of(endings)
    seconds = time.monotonic() - began
    click.echo(f"{len(endings)} inputs in {seconds:.0f} s, {len(failures)} failures")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
