"""Draw the learning curves and the confusion matrices of a study."""

from pathlib import Path

import click
import polars as pl

from emoscale.command import shows_sentences
from emoscale.reporting.confusion import draw_confusion
from emoscale.reporting.learning_curves import draw_learning_curves


@click.command(help=__doc__)
@click.option("--scores", required=True, type=click.Path(path_type=Path))
@click.option("--confusion", required=True, type=click.Path(path_type=Path))
@click.option("--output", required=True, type=click.Path(path_type=Path), help="Folder.")
@shows_sentences
def main(scores: Path, confusion: Path, output: Path) -> None:
    table = pl.read_parquet(scores)
    curves = output / "learning_curves"
    draw_learning_curves(table, curves.with_suffix(".html"), curves.with_suffix(".svg"))
    matrix = output / "confusion"
    draw_confusion(
        pl.read_parquet(confusion), table, matrix.with_suffix(".html"), matrix.with_suffix(".svg")
    )


if __name__ == "__main__":
    main()
