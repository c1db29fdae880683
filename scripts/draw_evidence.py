"""Draw the labels that one experiment saves over another, and what more labels would give."""

from pathlib import Path

import click

from emoscale.evaluation.efficiency import EFFICIENCY
from emoscale.evaluation.forecast import FORECAST
from emoscale.reporting.efficiency import draw_efficiency
from emoscale.reporting.forecast import draw_forecast
from emoscale.runtime.command import shows_sentences
from emoscale.tables.schemas import read_any_table, read_metadata, read_table


@click.command(help=__doc__)
@click.option("--scores", required=True, type=click.Path(path_type=Path))
@click.option("--efficiency", required=True, type=click.Path(path_type=Path))
@click.option("--forecast", required=True, type=click.Path(path_type=Path))
@click.option("--output", required=True, type=click.Path(path_type=Path), help="Folder.")
@shows_sentences
def main(scores: Path, efficiency: Path, forecast: Path, output: Path) -> None:
    table, about = read_any_table(scores), read_metadata(efficiency)

    def files(name: str) -> tuple[Path, Path]:
        return output / f"{name}.html", output / f"{name}.svg"

    saved = read_table(efficiency, EFFICIENCY)
    draw_efficiency(saved, table, about["reference"], about["left_out"], *files("efficiency"))
    draw_forecast(read_table(forecast, FORECAST), table, *files("forecast"))


if __name__ == "__main__":
    main()
