"""Check the files of a study's results against the digests that the results record.

Exits with status 1 if there are errors. No file is changed.
"""

import sys
from pathlib import Path

import click

from emoscale.reporting.verification import verify_study
from emoscale.runtime.command import report_user_errors


@click.command(help=__doc__)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--quick", is_flag=True, help="Do not read the shards of features.")
@report_user_errors
def main(folder: Path, quick: bool) -> None:
    result = verify_study(folder, quick)
    for error in result.errors:
        click.echo(error)
    for name, count in result.checked.items():
        click.echo(f"{name}: {count:,} files checked")
    click.echo(f"errors: {len(result.errors)}")
    sys.exit(bool(result.errors))


if __name__ == "__main__":
    main()
