"""Find utterances that are the same recording, and merge the acoustic measures of all shards."""

from pathlib import Path

import click
import polars as pl

from emoscale.audit.acoustics import ACOUSTICS
from emoscale.audit.duplicates import DUPLICATE_PAIRS, DUPLICATES, duplicate_groups
from emoscale.audit.measurement import MEASUREMENTS, find_corpus_duplicates
from emoscale.runtime.command import file_option, files_argument, report_user_errors
from emoscale.tables.parquet import read_table, write_table
from emoscale.tables.schemas import SHARD


@click.command(help=__doc__)
@file_option("--root", "Root folder of the corpus.")
@file_option("--acoustics", "Table of acoustic measures to write.")
@file_option("--pairs", "Table of pairs that are the same recording, to write.")
@file_option("--duplicates", "Table of utterances grouped by recording, to write.")
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
    """SHARDS: tables of recordings of all shards, followed by their tables of measurements."""
    shard_count = len(shards) // 2
    recordings = pl.concat([read_table(path, SHARD) for path in shards[:shard_count]])
    measurements = pl.concat([read_table(path, MEASUREMENTS) for path in shards[shard_count:]])
    duplicate_pairs = find_corpus_duplicates(recordings, measurements, root, threads)
    groups = duplicate_groups(duplicate_pairs)
    write_table(measurements.select(ACOUSTICS.names).sort("utterance"), acoustics, ACOUSTICS)
    write_table(duplicate_pairs, pairs, DUPLICATE_PAIRS)
    write_table(groups, duplicates, DUPLICATES)
    click.echo(f"{len(measurements)} utterances compared")
    click.echo(f"{groups['group'].n_unique()} recordings have several keys ({len(groups)} keys)")


if __name__ == "__main__":
    main()
