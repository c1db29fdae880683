"""Draw the scores of groups of the tested utterances."""

from pathlib import Path

import click

from emoscale.evaluation.slices import SLICES
from emoscale.reporting.slices import draw_slices
from emoscale.runtime.command import shows_sentences
from emoscale.tables.schemas import read_any_table, read_table


@click.command(help=__doc__)
@click.option("--slices", required=True, type=click.Path(path_type=Path))
@click.option("--scores", required=True, type=click.Path(path_type=Path))
@click.argument("html", type=click.Path(path_type=Path))
@click.argument("svg", type=click.Path(path_type=Path))
@shows_sentences
def main(slices: Path, scores: Path, html: Path, svg: Path) -> None:
    draw_slices(read_table(slices, SLICES), read_any_table(scores), html, svg)


if __name__ == "__main__":
    main()
