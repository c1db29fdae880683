"""Score every experiment by groups of the tested utterances, at its largest training size."""

from pathlib import Path

import click

from emoscale.audit.acoustics import ACOUSTICS
from emoscale.config import parse_settings
from emoscale.config.corpus import LabelSettings
from emoscale.evaluation.groups import groups_of_tests
from emoscale.evaluation.runs import predictions_of_study
from emoscale.evaluation.slices import SLICE_GAPS, SLICES, slice_tables
from emoscale.reporting.figures import largest_sizes
from emoscale.runtime.command import file_option, files_argument, labels_option, report_user_errors
from emoscale.tables.parquet import (
    read_any_table,
    read_fold,
    read_table,
    read_utterances,
    table_origin,
    write_csv,
    write_table,
)


@click.command(help=__doc__)
@file_option("--predictions")
@file_option("--scores")
@file_option("--utterances")
@file_option("--texts")
@labels_option
@click.option("--seed", required=True, type=int)
@file_option("--acoustics")
@file_option("--output", "Folder of tables.")
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
    classes = parse_settings(LabelSettings, labels, "--labels")
    corpus = read_utterances(utterances, texts)
    groups = groups_of_tests(
        {path.stem: read_fold(path) for path in folds},
        corpus,
        {name: classes.class_of(name) for name in corpus["corpus"].unique()},
        read_table(acoustics, ACOUSTICS),
    )
    names = sorted(classes.classes)
    largest = largest_sizes(read_any_table(scores)).select("experiment", "size")
    answers = read_table(predictions, predictions_of_study(names)).join(
        largest, on=["experiment", "size"], maintain_order="right"
    )
    tables = slice_tables(answers, groups, corpus, names, seed)
    origin = table_origin(
        output, __file__, [predictions, scores, utterances, texts, acoustics, *folds]
    )
    for name, table, schema in zip(
        ("slices", "slice_gaps"), tables, (SLICES, SLICE_GAPS), strict=True
    ):
        write_table(table, output / f"{name}.parquet", schema, origin)
        write_csv(table, output / f"{name}.csv")


if __name__ == "__main__":
    main()
