"""Measure the acoustics and the fingerprint of every recording of a shard."""

from pathlib import Path

import click

from emoscale.audit.measurement import MEASUREMENTS, measure_shard
from emoscale.runtime.command import file_option, report_user_errors
from emoscale.tables.parquet import read_table, write_table
from emoscale.tables.schemas import SHARD


@click.command(help=__doc__)
@file_option("--root", "Root folder of the corpus.")
@file_option("--shard", "Table of the shard's recordings.")
@file_option("--output", "Table of measurements to write.")
@click.option("--threads", default=1, show_default=True)
@report_user_errors
def main(root: Path, shard: Path, output: Path, threads: int) -> None:
    measurements = measure_shard(read_table(shard, SHARD), root, threads)
    write_table(measurements, output, MEASUREMENTS)
    click.echo(f"{len(measurements)} utterances measured")


if __name__ == "__main__":
    main()
