"""Join the metadata of a corpus with the checked audio of its shards; write all recordings."""

from pathlib import Path

import click
import polars as pl

from emoscale.config import parse_settings
from emoscale.config.corpus import CorpusSettings
from emoscale.corpus.readers import read_corpus
from emoscale.corpus.recordings import merge_shards
from emoscale.runtime.command import corpus_option, file_option, files_argument, report_user_errors
from emoscale.tables.parquet import read_table, write_csv, write_table
from emoscale.tables.schemas import RECORDINGS, REJECTED, SHARD


@click.command(help=__doc__)
@corpus_option
@file_option("--recordings")
@file_option("--rejected")
@files_argument("shards")
@report_user_errors
def main(corpus: str, recordings: Path, rejected: Path, shards: tuple[Path, ...]) -> None:
    """SHARDS: the tables of usable recordings of all shards, then those of rejected ones."""
    settings = parse_settings(CorpusSettings, corpus, "--corpus")
    number = len(shards) // 2
    usable = pl.concat([read_table(path, SHARD) for path in shards[:number]])
    shard_rejected = pl.concat([read_table(path, REJECTED) for path in shards[number:]])
    manifest = read_corpus(settings)
    table, rejected_rows = merge_shards(manifest, Path(settings.root), usable, shard_rejected)
    write_table(table, recordings, RECORDINGS)
    write_table(rejected_rows, rejected, REJECTED)
    write_csv(rejected_rows, rejected.with_suffix(".csv"))
    click.echo(
        f"{len(table)} usable utterances; {len(rejected_rows)} rejected entries in {rejected}"
    )
    for reason, count in rejected_rows.group_by("reason").len().sort("reason").iter_rows():
        click.echo(f"  {reason}: {count}")


if __name__ == "__main__":
    main()
