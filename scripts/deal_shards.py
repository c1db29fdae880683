"""Deal the recordings to shards, a table a shard."""

from pathlib import Path

import click

from emoscale.command import shows_sentences
from emoscale.corpus.shards import deal_shards
from emoscale.tables import RECORDINGS, SHARD, read_table, write_table


@click.command(help=__doc__)
@click.option("--recordings", required=True, type=click.Path(path_type=Path))
@click.argument("shards", nargs=-1, required=True, type=click.Path(path_type=Path))
@shows_sentences
def main(recordings: Path, shards: tuple[Path, ...]) -> None:
    tables = deal_shards(read_table(recordings, RECORDINGS), len(shards))
    for path, table in zip(shards, tables, strict=True):
        write_table(table, path, SHARD)
        click.echo(f"{path}: {len(table)} utterances")


if __name__ == "__main__":
    main()
