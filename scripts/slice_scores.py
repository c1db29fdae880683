"""Score every experiment by groups of test utterances, at its largest training size."""

from pathlib import Path

import click
import polars as pl

from emoscale.audit.acoustics import ACOUSTICS
from emoscale.config import parse_settings
from emoscale.config.corpus import LabelSettings
from emoscale.evaluation.groups import group_test_utterances
from emoscale.evaluation.runs import study_predictions_schema
from emoscale.evaluation.scores import largest_sizes
from emoscale.evaluation.slices import SLICE_GAPS, SLICES, slice_tables
from emoscale.runtime.command import file_option, files_argument, labels_option, report_user_errors
from emoscale.tables.parquet import (
    read_any_table,
    read_fold,
    read_parts,
    read_table,
    read_utterances,
    table_provenance,
    write_csv,
    write_table,
)


@click.command(help=__doc__)
@file_option("--predictions", "Table of all predictions.")
@file_option("--scores", "Table of scores.")
@file_option("--utterances", "Utterance table.")
@file_option("--texts", "Table of transcripts.")
@labels_option
@click.option("--seed", required=True, type=int, help="Seed of the bootstrap.")
@file_option("--acoustics", "Table of estimated signal-to-noise ratios.")
@file_option("--output", "Folder for the tables.")
@files_argument("folds")
@report_user_errors
def main(
    predictions: Path,
    scores: Path,
    utterances: Path,
    texts: Path,
    labels: str,
    seed: int,
    acoustics: Path,
    output: Path,
    folds: tuple[Path, ...],
) -> None:
    label_settings = parse_settings(LabelSettings, labels, "--labels")
    corpus = read_utterances(utterances, texts)
    groups = group_test_utterances(
        {path.stem: read_fold(path) for path in folds},
        corpus,
        {name: label_settings.class_of(name) for name in corpus["corpus"].unique()},
        read_table(acoustics, ACOUSTICS),
    )
    classes = sorted(label_settings.classes)
    largest = largest_sizes(read_any_table(scores)).select("experiment", "size")
    selected = set(largest.iter_rows())
    parts = [  # each part is of one experiment and size
        slice_tables(part, groups, corpus, classes, seed)
        for part in read_parts(predictions, study_predictions_schema(classes))
        if part.select("experiment", "size").row(0) in selected
    ]
    tables = [pl.concat(tables) for tables in zip(*parts, strict=True)]
    provenance = table_provenance(
        output, __file__, [predictions, scores, utterances, texts, acoustics, *folds]
    )
    for name, table, schema in zip(
        ("slices", "slice_gaps"), tables, (SLICES, SLICE_GAPS), strict=True
    ):
        write_table(table, output / f"{name}.parquet", schema, provenance)
        write_csv(table, output / f"{name}.csv")


if __name__ == "__main__":
    main()
