"""Score one more rater, and every experiment on the same votes, at its largest training size."""

from pathlib import Path

import click

from emoscale.config import parse_settings
from emoscale.config.corpus import LabelSettings
from emoscale.evaluation.ceiling import CEILING, ceiling_table
from emoscale.evaluation.runs import study_predictions_schema
from emoscale.evaluation.scores import largest_sizes
from emoscale.runtime.command import file_option, labels_option, report_user_errors
from emoscale.tables.parquet import (
    read_any_table,
    read_parts,
    read_utterances,
    table_provenance,
    write_csv,
    write_table,
)


@click.command(help=__doc__)
@file_option("--predictions", "Table of all predictions.")
@file_option("--scores", "Table of scores.")
@file_option("--utterances", "Utterance table.")
@labels_option
@click.option("--seed", required=True, type=int, help="Seed of the bootstrap.")
@file_option("--output", "Folder for the table.")
@report_user_errors
def main(
    predictions: Path, scores: Path, utterances: Path, labels: str, seed: int, output: Path
) -> None:
    label_settings = parse_settings(LabelSettings, labels, "--labels")
    corpus = read_utterances(utterances)
    classes = sorted(label_settings.classes)
    largest = largest_sizes(read_any_table(scores)).select("experiment", "size")
    selected = set(largest.iter_rows())
    table = ceiling_table(
        (  # each part is of one experiment and size
            part
            for part in read_parts(predictions, study_predictions_schema(classes))
            if part.select("experiment", "size").row(0) in selected
        ),
        corpus,
        {name: label_settings.class_of(name) for name in corpus["corpus"].unique()},
        classes,
        seed,
    )
    provenance = table_provenance(output, __file__, [predictions, scores, utterances])
    write_table(table, output / "ceiling.parquet", CEILING, provenance)
    write_csv(table, output / "ceiling.csv")


if __name__ == "__main__":
    main()
