"""Write the transcripts and word times of one or all shards of a corpus."""

from pathlib import Path

import click
import polars as pl

from emoscale.config import parse_settings
from emoscale.config.corpus import CorpusSettings
from emoscale.corpus.readers import read_corpus
from emoscale.corpus.recordings import texts_table
from emoscale.runtime.command import corpus_option, file_option, files_argument, report_user_errors
from emoscale.tables.parquet import read_table, write_table
from emoscale.tables.schemas import SHARD, TEXTS


@click.command(help=__doc__)
@corpus_option
@file_option("--output")
@files_argument("shards")
@report_user_errors
def main(corpus: str, output: Path, shards: tuple[Path, ...]) -> None:
    settings = parse_settings(CorpusSettings, corpus, "--corpus")
    usable = pl.concat([read_table(path, SHARD) for path in shards])
    texts = texts_table(read_corpus(settings).utterances, usable)
    write_table(texts, output, TEXTS)
    click.echo(f"{len(texts)} utterances, {texts['transcript'].null_count()} without a transcript")


if __name__ == "__main__":
    main()
