"""Verify all shards of a representation and write where each utterance is."""

from pathlib import Path

import click

from emoscale.runtime.command import shows_sentences
from emoscale.store.index import index_shards


@click.command(help=__doc__)
@click.option("--output", required=True, type=click.Path(path_type=Path))
@click.argument("shards", nargs=-1, required=True, type=click.Path(path_type=Path))
@shows_sentences
def main(output: Path, shards: tuple[Path, ...]) -> None:
    index_shards(shards, output)


if __name__ == "__main__":
    main()
