"""Unpack a data set of the Hugging Face hub, downloaded as Parquet files, for the csv reader."""

from pathlib import Path

import click

from emoscale.corpus.hub_parquet import TABLE, unpack
from emoscale.runtime.command import report_user_errors


@click.command(help=f"{__doc__} FOLDER receives recordings and {TABLE}.")
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--audio", help="Column of the recordings or their paths, if there are several.")
@report_user_errors
def main(folder: Path, audio: str | None) -> None:
    result = unpack(folder, audio)
    click.echo(
        f"{folder / TABLE}: {result.rows:,} rows, {result.recordings:,} recordings unpacked; "
        f"columns: {', '.join(result.columns)}"
    )
    if result.omitted:
        click.echo(f"not in the table: {', '.join(result.omitted)} (lists and other nested values)")


if __name__ == "__main__":
    main()
