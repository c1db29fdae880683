"""Draw all figures of a study from its tables."""

from pathlib import Path

import click
import polars as pl
import pyarrow as pa

from emoscale.evaluation.ceiling import CEILING
from emoscale.evaluation.comparisons import COMPARISONS, rank_experiments
from emoscale.evaluation.corpus_pairs import CORPUS_PAIRS
from emoscale.evaluation.efficiency import EFFICIENCY
from emoscale.evaluation.forecast import FORECAST
from emoscale.evaluation.robustness import ROBUSTNESS
from emoscale.evaluation.slices import SLICES
from emoscale.pretraining.history import HISTORY
from emoscale.reporting.confusion import draw_confusion
from emoscale.reporting.corpus_pairs import draw_corpus_pairs
from emoscale.reporting.efficiency import draw_efficiency
from emoscale.reporting.figures import of_experiments, shown_experiments
from emoscale.reporting.forecast import draw_forecast
from emoscale.reporting.forest import draw_forest
from emoscale.reporting.layer_weights import draw_layer_weights
from emoscale.reporting.learning_curves import draw_learning_curves
from emoscale.reporting.pretraining import draw_pretraining
from emoscale.reporting.robustness import draw_robustness
from emoscale.reporting.slices import draw_slices
from emoscale.runtime.command import file_option, files_argument, report_user_errors
from emoscale.tables.parquet import read_any_table, read_metadata, read_table


@click.command(help=__doc__)
@file_option("--output", "Folder of the figures.")
@files_argument("tables")
@report_user_errors
def main(output: Path, tables: tuple[Path, ...]) -> None:
    """Draw all figures; some are of tables that not every study has."""
    paths = {path.stem: path for path in tables}
    metadata = {name: read_metadata(path) for name, path in paths.items()}
    declared, reference = (metadata[name]["reference"] for name in ("comparisons", "efficiency"))
    scores = read_any_table(paths["scores"])
    comparisons = read_table(paths["comparisons"], COMPARISONS)
    shown = shown_experiments(rank_experiments(comparisons, scores), reference)
    if shown is not None:
        click.echo(f"figures show {len(shown)} experiments: the best, and the reference")

    def read(name: str, schema: pa.Schema | None = None) -> pl.DataFrame:
        path = paths[name]
        table = read_any_table(path) if schema is None else read_table(path, schema)
        return table if shown is None else of_experiments(table, shown)

    def files(name: str) -> tuple[Path, Path]:
        return output / f"{name}.html", output / f"{name}.svg"

    scores = read("scores")
    ceiling = read_table(paths["ceiling"], CEILING)
    draw_learning_curves(scores, *files("learning_curves"), ceiling)
    draw_confusion(read("confusion"), scores, *files("confusion"))
    draw_layer_weights(read("layer_weights"), scores, *files("layer_weights"))
    draw_forest(read("comparisons", COMPARISONS), scores, declared, *files("comparisons"))
    draw_slices(read("slices", SLICES), scores, *files("slices"))
    left_out = metadata["efficiency"]["left_out"]
    draw_efficiency(
        read("efficiency", EFFICIENCY), scores, reference, left_out, *files("efficiency")
    )
    draw_forecast(read("forecast", FORECAST), scores, *files("forecast"))
    if "corpus_pairs" in paths:
        draw_corpus_pairs(read("corpus_pairs", CORPUS_PAIRS), scores, *files("corpus_pairs"))
    if "robustness" in paths:
        draw_robustness(read("robustness", ROBUSTNESS), scores, *files("robustness"))
    if "pretraining" in paths:
        draw_pretraining(read_table(paths["pretraining"], HISTORY), *files("pretraining"))


if __name__ == "__main__":
    main()
