"""Write the texts of one shard of a corpus."""

from pathlib import Path

import click

from emoscale.config import parse_settings
from emoscale.config.corpus import CorpusSettings
from emoscale.corpus.reading import read_corpus
from emoscale.corpus.recordings import texts_of
from emoscale.runtime.command import shows_sentences
from emoscale.tables.schemas import SHARD, TEXTS, read_table, write_table


@click.command(help=__doc__)
@click.option("--settings", required=True, help="The study's `corpus`, as JSON.")
@click.option("--shard", required=True, type=click.Path(path_type=Path), help="Its recordings.")
@click.option("--output", required=True, type=click.Path(path_type=Path))
@shows_sentences
def main(settings: str, shard: Path, output: Path) -> None:
    corpus = parse_settings(CorpusSettings, settings, "--settings")
    texts = texts_of(read_corpus(corpus).utterances, read_table(shard, SHARD))
    write_table(texts, output, TEXTS)
    click.echo(f"{len(texts)} utterances, {texts['transcript'].null_count()} without a text")


if __name__ == "__main__":
    main()
