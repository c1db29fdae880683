"""Compare every pair of experiments at every size that both have."""

from pathlib import Path

import click
import polars as pl

from emoscale.evaluation.comparisons import COMPARISONS, comparison_table
from emoscale.runtime.command import file_option, report_user_errors
from emoscale.tables.parquet import read_any_table, read_table, table_origin, write_csv, write_table
from emoscale.tables.schemas import UTTERANCES


@click.command(help=__doc__)
@file_option("--scores")
@file_option("--predictions")
@file_option("--utterances")
@click.option("--seed", required=True, type=int, help="Of random sign flips (many speakers).")
@file_option("--output", "Parquet; CSV beside.")
@report_user_errors
def main(
    scores: Path,
    predictions: Path,
    utterances: Path,
    seed: int,
    output: Path,
) -> None:
    scored = read_any_table(scores)
    said = read_any_table(predictions)
    classes = sorted(said["label"].unique())
    speaker_of = read_table(utterances, UTTERANCES).select("utterance", "speaker")
    compared = comparison_table(scored, said, speaker_of, classes, seed)
    origin = table_origin(output.parent, __file__, [scores, predictions, utterances])
    write_table(compared, output, COMPARISONS, origin)
    write_csv(compared, output.with_suffix(".csv"))
    won = compared.filter(pl.col("winner") != "none")
    click.echo(f"{len(compared)} comparisons, {len(won)} with a winner (Holm, 5 %)")


if __name__ == "__main__":
    main()
