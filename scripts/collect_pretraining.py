"""Collect the losses of all pre-trainings of a study into one table."""

from pathlib import Path

import click
import polars as pl

from emoscale.pretraining.history import HISTORY
from emoscale.runtime.command import file_option, files_argument, report_user_errors
from emoscale.tables.parquet import read_table, table_provenance, write_csv, write_table


@click.command(help=__doc__)
@file_option("--output", "Parquet file to write; a CSV file is written beside it.")
@files_argument("histories")
@report_user_errors
def main(output: Path, histories: tuple[Path, ...]) -> None:
    table = pl.concat([read_table(path, HISTORY) for path in histories])
    write_table(table, output, HISTORY, table_provenance(output.parent, __file__, histories))
    write_csv(table, output.with_suffix(".csv"))


if __name__ == "__main__":
    main()
