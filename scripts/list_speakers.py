"""List the usable recordings with their speakers.

Babble noise is mixed from them, and features are normalised by speaker.
"""

from pathlib import Path

import click
import polars as pl

from emoscale.config import parse_settings
from emoscale.config.corpus import CorpusSettings
from emoscale.corpus.readers import read_corpus
from emoscale.runtime.command import corpus_option, file_option, files_argument, report_user_errors
from emoscale.tables.parquet import read_table, write_table
from emoscale.tables.schemas import RECORDING_SPEAKERS, SHARD


@click.command(help=__doc__)
@corpus_option
@file_option("--output")
@files_argument("shards")
@report_user_errors
def main(corpus: str, output: Path, shards: tuple[Path, ...]) -> None:
    settings = parse_settings(CorpusSettings, corpus, "--corpus")
    speaker_of = {each.utterance: each.speaker for each in read_corpus(settings).utterances}
    usable = pl.concat([read_table(path, SHARD) for path in shards]).sort("utterance")
    speakers = [speaker_of[key] for key in usable["utterance"]]
    listed = usable.with_columns(speaker=pl.Series(speakers, dtype=pl.String))
    write_table(listed.select(RECORDING_SPEAKERS.names), output, RECORDING_SPEAKERS)
    click.echo(f"{len(listed)} recordings of {listed['speaker'].n_unique()} speakers")


if __name__ == "__main__":
    main()
