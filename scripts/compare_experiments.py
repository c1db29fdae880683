"""Compare all pairs of experiments at each training size that both have."""

from pathlib import Path

import click
import polars as pl

from emoscale.evaluation.comparisons import COMPARISONS, comparison_table
from emoscale.runtime.command import file_option, report_user_errors
from emoscale.tables.parquet import (
    read_any_table,
    read_table,
    table_provenance,
    write_csv,
    write_table,
)
from emoscale.tables.schemas import UTTERANCES


@click.command(help=__doc__)
@file_option("--scores", "Table of scores.")
@file_option("--predictions", "Table of all predictions.")
@file_option("--utterances", "Utterance table.")
@click.option("--seed", required=True, type=int, help="Seed of the random sign flips.")
@file_option("--output", "Parquet file; a CSV file is written next to it.")
@report_user_errors
def main(
    scores: Path,
    predictions: Path,
    utterances: Path,
    seed: int,
    output: Path,
) -> None:
    score_table = read_any_table(scores)
    study_predictions = read_any_table(predictions)
    classes = sorted(study_predictions["label"].unique())
    speaker_of = read_table(utterances, UTTERANCES).select("utterance", "speaker")
    comparisons = comparison_table(score_table, study_predictions, speaker_of, classes, seed)
    provenance = table_provenance(output.parent, __file__, [scores, predictions, utterances])
    write_table(comparisons, output, COMPARISONS, provenance)
    write_csv(comparisons, output.with_suffix(".csv"))
    significant = comparisons.filter(pl.col("winner") != "none")
    click.echo(f"{len(comparisons)} comparisons, {len(significant)} with a winner (Holm, 5 %)")


if __name__ == "__main__":
    main()
