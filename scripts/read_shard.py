"""Decode and check the recordings of one shard; write the usable and the rejected ones."""

from pathlib import Path

import click

from emoscale.config import parse_settings
from emoscale.config.corpus import AudioChecks, CorpusSettings
from emoscale.corpus.readers import read_corpus
from emoscale.corpus.recordings import check_shard
from emoscale.corpus.shards import split_into_shards
from emoscale.runtime.command import corpus_option, file_option, report_user_errors
from emoscale.tables.parquet import write_table
from emoscale.tables.schemas import REJECTED, SHARD


@click.command(help=__doc__)
@corpus_option
@click.option("--audio", default="{}", show_default=True, help="The study's `audio`, as JSON.")
@click.option("--shard", required=True, type=int, help="Shard number, from 0.")
@click.option("--shards", required=True, type=int, help="Number of shards.")
@file_option("--recordings")
@file_option("--rejected")
@click.option("--threads", default=1, show_default=True)
@report_user_errors
def main(
    corpus: str,
    audio: str,
    shard: int,
    shards: int,
    recordings: Path,
    rejected: Path,
    threads: int,
) -> None:
    settings = parse_settings(CorpusSettings, corpus, "--corpus")
    checks = parse_settings(AudioChecks, audio, "--audio")
    utterances = split_into_shards(read_corpus(settings).utterances, shards)[shard]
    usable, rejected_rows = check_shard(utterances, Path(settings.root), checks, threads)
    write_table(usable, recordings, SHARD)
    write_table(rejected_rows, rejected, REJECTED)
    click.echo(f"{len(usable)} usable utterances, {len(rejected_rows)} rejected")


if __name__ == "__main__":
    main()
