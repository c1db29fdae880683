"""Draw all figures of a study from its tables."""

from pathlib import Path

import click

from emoscale.evaluation.comparisons import COMPARISONS
from emoscale.evaluation.efficiency import EFFICIENCY
from emoscale.evaluation.forecast import FORECAST
from emoscale.evaluation.robustness import ROBUSTNESS
from emoscale.evaluation.slices import SLICES
from emoscale.reporting.confusion import draw_confusion
from emoscale.reporting.efficiency import draw_efficiency
from emoscale.reporting.forecast import draw_forecast
from emoscale.reporting.forest import draw_forest
from emoscale.reporting.layer_weights import draw_layer_weights
from emoscale.reporting.learning_curves import draw_learning_curves
from emoscale.reporting.robustness import draw_robustness
from emoscale.reporting.slices import draw_slices
from emoscale.runtime.command import file_option, files_argument, report_user_errors
from emoscale.tables.parquet import read_any_table, read_metadata, read_table


@click.command(help=__doc__)
@file_option("--output", "Folder of the figures.")
@files_argument("tables")
@report_user_errors
def main(output: Path, tables: tuple[Path, ...]) -> None:
    """Draw all figures; the one of robustness only if its table is given."""
    paths = {path.stem: path for path in tables}
    scores = read_any_table(paths["scores"])
    metadata = read_metadata(paths["efficiency"])
    efficiency = read_table(paths["efficiency"], EFFICIENCY)

    def files(name: str) -> tuple[Path, Path]:
        return output / f"{name}.html", output / f"{name}.svg"

    draw_learning_curves(scores, *files("learning_curves"))
    draw_confusion(read_any_table(paths["confusion"]), scores, *files("confusion"))
    draw_layer_weights(read_any_table(paths["layer_weights"]), scores, *files("layer_weights"))
    draw_forest(
        read_table(paths["comparisons"], COMPARISONS),
        scores,
        read_metadata(paths["comparisons"])["reference"],
        *files("comparisons"),
    )
    draw_slices(read_table(paths["slices"], SLICES), scores, *files("slices"))
    draw_efficiency(
        efficiency, scores, metadata["reference"], metadata["left_out"], *files("efficiency")
    )
    draw_forecast(read_table(paths["forecast"], FORECAST), scores, *files("forecast"))
    if "robustness" in paths:
        draw_robustness(read_table(paths["robustness"], ROBUSTNESS), scores, *files("robustness"))


if __name__ == "__main__":
    main()
