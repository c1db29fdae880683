"""Check a study's results, file by file, against the digests that they carry of one another.

Ends with status 1 where anything is wrong. Nothing is changed.
"""

import sys
from pathlib import Path

import click

from emoscale.reporting.verification import verify_study
from emoscale.runtime.command import report_user_errors


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--quick", is_flag=True, help="Read no shard of features.")
@report_user_errors
def main(folder: Path, quick: bool) -> None:
    found = verify_study(folder, quick)
    for sentence in found.wrong:
        click.echo(sentence)
    for part, count in found.checked.items():
        click.echo(f"{part}: {count:,} files checked")
    click.echo(f"{len(found.wrong)} wrong" if found.wrong else "everything is as it was written")
    sys.exit(bool(found.wrong))


if __name__ == "__main__":
    main()
