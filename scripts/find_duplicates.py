"""Find which utterances are one recording under several keys, and gather the acoustics of all."""

from pathlib import Path

import click
import polars as pl

from emoscale.audit.acoustics import ACOUSTICS
from emoscale.audit.measuring import MEASURED, find_pairs
from emoscale.audit.same_recordings import DUPLICATES, SAME_RECORDINGS, duplicate_groups
from emoscale.runtime.command import file_option, files_argument, report_user_errors
from emoscale.tables.parquet import read_table, write_table
from emoscale.tables.schemas import SHARD


@click.command(help=__doc__)
@file_option("--root", "The corpus's folder.")
@file_option("--acoustics")
@file_option("--pairs")
@file_option("--duplicates")
@click.option("--threads", default=1, show_default=True)
@files_argument("shards")
@report_user_errors
def main(
    root: Path,
    acoustics: Path,
    pairs: Path,
    duplicates: Path,
    threads: int,
    shards: tuple[Path, ...],
) -> None:
    """Of all shards the tables of their recordings, then of all what was measured."""
    number = len(shards) // 2
    recordings = pl.concat([read_table(path, SHARD) for path in shards[:number]])
    measured = pl.concat([read_table(path, MEASURED) for path in shards[number:]])
    found = find_pairs(recordings, measured, root, threads)
    groups = duplicate_groups(found)
    write_table(measured.select(ACOUSTICS.names).sort("utterance"), acoustics, ACOUSTICS)
    write_table(found, pairs, SAME_RECORDINGS)
    write_table(groups, duplicates, DUPLICATES)
    click.echo(f"{len(measured)} utterances compared")
    click.echo(f"recordings under several keys: {groups['group'].n_unique()} of {len(groups)} keys")


if __name__ == "__main__":
    main()
