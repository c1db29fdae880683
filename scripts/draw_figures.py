"""Draw the learning curves, the confusion matrices and the layer weights of a study."""

from pathlib import Path

import click

from emoscale.reporting.confusion import draw_confusion
from emoscale.reporting.layer_weights import draw_layer_weights
from emoscale.reporting.learning_curves import draw_learning_curves
from emoscale.runtime.command import shows_sentences
from emoscale.tables.schemas import read_any_table


@click.command(help=__doc__)
@click.option("--scores", required=True, type=click.Path(path_type=Path))
@click.option("--confusion", required=True, type=click.Path(path_type=Path))
@click.option("--layer-weights", required=True, type=click.Path(path_type=Path))
@click.option("--output", required=True, type=click.Path(path_type=Path), help="Folder.")
@shows_sentences
def main(scores: Path, confusion: Path, layer_weights: Path, output: Path) -> None:
    table = read_any_table(scores)

    def files(name: str) -> tuple[Path, Path]:
        return output / f"{name}.html", output / f"{name}.svg"

    draw_learning_curves(table, *files("learning_curves"))
    draw_confusion(read_any_table(confusion), table, *files("confusion"))
    draw_layer_weights(read_any_table(layer_weights), table, *files("layer_weights"))


if __name__ == "__main__":
    main()
