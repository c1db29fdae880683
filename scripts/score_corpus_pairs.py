"""Score every test corpus by models of every training corpus, at all training sizes."""

from pathlib import Path

import click
import polars as pl

from emoscale.evaluation.corpus_pairs import CORPUS_PAIRS, corpus_pairs_table
from emoscale.evaluation.runs import runs_schema, study_predictions_schema
from emoscale.protocol.unassigned import training_corpora
from emoscale.runtime.command import file_option, files_argument, report_user_errors
from emoscale.tables.parquet import (
    read_fold,
    read_parts,
    read_table,
    table_provenance,
    write_csv,
    write_table,
)
from emoscale.tables.schemas import UTTERANCES


@click.command(help=__doc__)
@file_option("--predictions", "Table of all predictions.")
@file_option("--runs", "Table of all trainings.")
@file_option("--utterances", "Utterance table.")
@click.option("--seed", required=True, type=int, help="Seed of the bootstrap.")
@file_option("--output", "Parquet file to write; the CSV is next to it.")
@files_argument("folds")
@report_user_errors
def main(
    predictions: Path,
    runs: Path,
    utterances: Path,
    seed: int,
    output: Path,
    folds: tuple[Path, ...],
) -> None:
    corpus = read_table(utterances, UTTERANCES).select("utterance", "corpus", "speaker", "label")
    classes = sorted(corpus["label"].drop_nulls().unique())
    trainings = read_table(runs, runs_schema(classes))
    training_corpus_of = {}
    for path in folds:
        (training_corpus_of[path.stem],) = training_corpora(read_fold(path), corpus)
    table = pl.concat(  # each part is of one experiment and size
        corpus_pairs_table(part, trainings, training_corpus_of, corpus, classes, seed)
        for part in read_parts(predictions, study_predictions_schema(classes))
    )
    provenance = table_provenance(output.parent, __file__, [predictions, runs, utterances, *folds])
    write_table(table, output, CORPUS_PAIRS, provenance)
    write_csv(table, output.with_suffix(".csv"))


if __name__ == "__main__":
    main()
