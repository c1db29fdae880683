"""Draw what trained models lose when their test audio is changed."""

from pathlib import Path

import click

from emoscale.evaluation.robustness import ROBUSTNESS
from emoscale.reporting.robustness import draw_robustness
from emoscale.runtime.command import shows_sentences
from emoscale.tables.schemas import read_any_table, read_table


@click.command(help=__doc__)
@click.option("--robustness", required=True, type=click.Path(path_type=Path))
@click.option("--scores", required=True, type=click.Path(path_type=Path))
@click.argument("html", type=click.Path(path_type=Path))
@click.argument("svg", type=click.Path(path_type=Path))
@shows_sentences
def main(robustness: Path, scores: Path, html: Path, svg: Path) -> None:
    draw_robustness(read_table(robustness, ROBUSTNESS), read_any_table(scores), html, svg)


if __name__ == "__main__":
    main()
