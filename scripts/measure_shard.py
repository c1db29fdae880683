"""Measure every recording of one shard of a corpus, and take its fingerprint."""

from pathlib import Path

import click

from emoscale.audit.measuring import MEASURED, measure_shard
from emoscale.runtime.command import file_option, report_user_errors
from emoscale.tables.parquet import read_table, write_table
from emoscale.tables.schemas import SHARD


@click.command(help=__doc__)
@file_option("--root", "The corpus's folder.")
@file_option("--shard", "Its recordings.")
@file_option("--output")
@click.option("--threads", default=1, show_default=True)
@report_user_errors
def main(root: Path, shard: Path, output: Path, threads: int) -> None:
    measured = measure_shard(read_table(shard, SHARD), root, threads)
    write_table(measured, output, MEASURED)
    click.echo(f"{len(measured)} utterances measured")


if __name__ == "__main__":
    main()
