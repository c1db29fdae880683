"""Check a study's results, file by file, against the digests that they carry of one another.

Ends with status 1 where anything is wrong. Nothing is changed, unless --set-aside is given.
"""

import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from emoscale.reporting.verification.study_tree import verify_study
from emoscale.runtime.command import shows_sentences
from emoscale.runtime.damage import set_aside


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--quick", is_flag=True, help="Read no shard of features.")
@click.option(
    "--set-aside",
    "sets_aside",
    is_flag=True,
    help="Rename damaged files to NAME.damaged, so that they are made again.",
)
@shows_sentences
def main(folder: Path, quick: bool, sets_aside: bool) -> None:
    found = verify_study(folder, quick)
    for finding in found.findings:
        click.echo(f"{finding.kind}: {finding.sentence}")
        if sets_aside and finding.damage is not None:
            click.echo(f"  {set_aside(finding.damage, folder)}")
    table = Table(title=f"{folder}", title_justify="left")
    table.add_column("checked")
    table.add_column("files", justify="right")
    for part, count in sorted(found.checked.items()):
        table.add_row(part, f"{count:,}")
    console = Console(width=None if sys.stdout.isatty() else 100)
    console.print(table)
    wrong = sum(finding.is_wrong for finding in found.findings)
    click.echo(f"{wrong} wrong" if wrong else "everything is as it was written")
    sys.exit(int(not found.is_right))


if __name__ == "__main__":
    main()
