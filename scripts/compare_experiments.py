"""Compare every pair of experiments at every size that both have, and draw the forest of it."""

from pathlib import Path

import click
import polars as pl

from emoscale.evaluation.comparisons import COMPARISONS, comparison_table
from emoscale.reporting.forest import draw_forest
from emoscale.runtime.command import shows_sentences
from emoscale.tables.origin import table_origin
from emoscale.tables.schemas import UTTERANCES, read_any_table, read_table, write_csv, write_table


@click.command(help=__doc__)
@click.option("--scores", required=True, type=click.Path(path_type=Path))
@click.option("--predictions", required=True, type=click.Path(path_type=Path))
@click.option("--utterances", required=True, type=click.Path(path_type=Path))
@click.option("--seed", required=True, type=int, help="Of random sign flips (many speakers).")
@click.option(
    "--table", required=True, type=click.Path(path_type=Path), help="Parquet; CSV beside."
)
@click.option("--figure", "figures", multiple=True, type=click.Path(path_type=Path))
@shows_sentences
def main(
    scores: Path,
    predictions: Path,
    utterances: Path,
    seed: int,
    table: Path,
    figures: tuple[Path, ...],
) -> None:
    scored = read_any_table(scores)
    said = read_any_table(predictions)
    classes = sorted(said["label"].unique())
    speaker_of = read_table(utterances, UTTERANCES).select("utterance", "speaker")
    compared = comparison_table(scored, said, speaker_of, classes, seed)
    origin = table_origin(table.parent, __file__, [scores, predictions, utterances])
    write_table(compared, table, COMPARISONS, origin)
    write_csv(compared, table.with_suffix(".csv"))
    draw_forest(compared, scored, *figures)
    won = compared.filter(pl.col("winner") != "none")
    click.echo(f"{len(compared)} comparisons, {len(won)} with a winner (Holm, 5 %)")


if __name__ == "__main__":
    main()
