"""Check every recording of one shard of a corpus, and write what can be used and what cannot."""

from pathlib import Path

import click

from emoscale.config import parse_settings
from emoscale.config.corpus import AudioChecks, CorpusSettings
from emoscale.corpus.reading import read_corpus
from emoscale.corpus.recordings import check_shard
from emoscale.corpus.survey import deal
from emoscale.runtime.command import corpus_option, file_option, report_user_errors
from emoscale.tables.parquet import write_table
from emoscale.tables.schemas import REJECTED, SHARD


@click.command(help=__doc__)
@corpus_option
@click.option("--audio", default="{}", show_default=True, help="The study's `audio`, as JSON.")
@click.option("--shard", required=True, type=int, help="Its number, from 0.")
@click.option("--shards", required=True, type=int, help="How many there are.")
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
    own = deal(read_corpus(settings).utterances, shards)[shard]
    usable, left_out = check_shard(own, Path(settings.root), checks, threads)
    write_table(usable, recordings, SHARD)
    write_table(left_out, rejected, REJECTED)
    click.echo(f"{len(usable)} utterances can be used; {len(left_out)} cannot")


if __name__ == "__main__":
    main()
