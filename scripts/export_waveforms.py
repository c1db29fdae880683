"""Write a corpus shard's waveforms for a program in another Python: the fairseq backend."""

from pathlib import Path

import click

from emoscale.command import shows_sentences
from emoscale.extraction.elsewhere import export_waveforms
from emoscale.tables import SHARD, read_table


@click.command(help=__doc__)
@click.option("--root", required=True, type=click.Path(path_type=Path), help="Corpus root.")
@click.option("--shard", required=True, type=click.Path(path_type=Path))
@click.option("--output", required=True, type=click.Path(path_type=Path), help="An .npz file.")
@shows_sentences
def main(root: Path, shard: Path, output: Path) -> None:
    export_waveforms(read_table(shard, SHARD), root, output)


if __name__ == "__main__":
    main()
