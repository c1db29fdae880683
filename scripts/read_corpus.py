"""Join what a corpus says of its utterances with what its audio is; write what can be used."""

from pathlib import Path

import click
import polars as pl

from emoscale.config import parse_settings
from emoscale.config.corpus import CorpusSettings
from emoscale.corpus.reading import read_corpus
from emoscale.corpus.recordings import gather_recordings
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
    """Of all shards the tables of their recordings, then of all those of what was rejected."""
    settings = parse_settings(CorpusSettings, corpus, "--corpus")
    number = len(shards) // 2
    own = pl.concat([read_table(path, SHARD) for path in shards[:number]])
    others = pl.concat([read_table(path, REJECTED) for path in shards[number:]])
    usable, left_out = gather_recordings(read_corpus(settings), Path(settings.root), own, others)
    write_table(usable, recordings, RECORDINGS)
    write_table(left_out, rejected, REJECTED)
    write_csv(left_out, rejected.with_suffix(".csv"))
    click.echo(f"{len(usable)} utterances can be used; {len(left_out)} rows in {rejected}")
    for reason, count in left_out.group_by("reason").len().sort("reason").iter_rows():
        click.echo(f"  {reason}: {count}")


if __name__ == "__main__":
    main()
