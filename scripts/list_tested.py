"""List the recordings that are tested under changed conditions, a table a shard, and all voices."""

from pathlib import Path

import click
import polars as pl

from emoscale.runtime.command import shows_sentences
from emoscale.tables.schemas import SHARD, TALKERS, UTTERANCES, read_table, write_table


@click.command(help=__doc__)
@click.option("--utterances", required=True, type=click.Path(path_type=Path))
@click.option("--talkers", required=True, type=click.Path(path_type=Path))
@click.option("--output", required=True, type=click.Path(path_type=Path), help="Folder of shards.")
@click.argument("shards", nargs=-1, required=True, type=click.Path(path_type=Path))
@shows_sentences
def main(utterances: Path, talkers: Path, output: Path, shards: tuple[Path, ...]) -> None:
    everyone = read_table(utterances, UTTERANCES)
    labelled = everyone.filter(pl.col("label").is_not_null())
    for path in shards:
        tested = read_table(path, SHARD).join(labelled, on="utterance", how="semi")
        write_table(tested.sort("utterance"), output / path.name, SHARD)
    write_table(everyone.select(TALKERS.names), talkers, TALKERS)
    click.echo(f"{len(labelled)} of {len(everyone)} utterances are tested")


if __name__ == "__main__":
    main()
