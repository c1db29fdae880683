"""Collect the runs of a study into its tables."""

import json
from pathlib import Path

import click

from emoscale.config import parse_settings
from emoscale.config.protocol import SeededProtocolSettings
from emoscale.evaluation.layer_weights import LAYER_WEIGHTS
from emoscale.evaluation.runs import collect_runs, runs_schema, study_predictions_schema
from emoscale.evaluation.scores import CONFUSION, confusion_table, score_table, scores_schema
from emoscale.evaluation.trials import TRIALS
from emoscale.runtime.command import file_option, protocol_option, report_user_errors
from emoscale.tables.parquet import read_table, table_provenance, write_csv, write_table
from emoscale.tables.schemas import UTTERANCES
from emoscale.training.run_record import CellName


@click.command(help=__doc__)
@click.option("--study", required=True, help="Name of the study.")
@click.option("--corpus-name", required=True, help="Name of the corpus in the tables.")
@file_option("--runs", "Folder of all runs.")
@click.option("--cells", required=True, help='JSON: {"experiments": {NAME: [SIZE]}, "folds": []}.')
@protocol_option
@file_option("--utterances", "Utterance table.")
@file_option("--checks", "Report of the protocol checks, JSON.")
@file_option("--output", "Folder for the tables.")
@report_user_errors
def main(
    study: str,
    corpus_name: str,
    runs: Path,
    cells: str,
    protocol: str,
    utterances: Path,
    checks: Path,
    output: Path,
) -> None:
    requested = json.loads(cells)
    settings: SeededProtocolSettings = parse_settings(
        SeededProtocolSettings, protocol, "--protocol"
    )
    cell_names = [
        CellName(experiment, fold, size)
        for experiment, sizes in requested["experiments"].items()
        for size in sizes
        for fold in requested["folds"]
    ]
    notes = "; ".join(json.loads(checks.read_text(encoding="utf-8"))["warnings"])
    collected = collect_runs(runs, cell_names, study, corpus_name, notes, settings)
    classes, predictions = collected.classes, collected.predictions
    speaker_of = read_table(utterances, UTTERANCES).select("utterance", "speaker")
    scores = score_table(collected.runs, predictions, speaker_of, classes, settings)
    # Each row of `runs` has the digests of its training; the other tables refer to it.
    runs_path = output / "runs.parquet"
    write_table(
        collected.runs,
        runs_path,
        runs_schema(classes),
        table_provenance(output, __file__, [checks]),
    )
    write_csv(collected.runs, runs_path.with_suffix(".csv"))
    provenance = table_provenance(output, __file__, [runs_path, utterances])
    for name, table, schema in (
        ("scores", scores, scores_schema(classes)),
        ("confusion", confusion_table(predictions, classes), CONFUSION),
        ("trials", collected.trials, TRIALS),
        ("layer_weights", collected.layer_weights, LAYER_WEIGHTS),
    ):
        write_table(table, output / f"{name}.parquet", schema, provenance)
        write_csv(table.select(schema.names), output / f"{name}.csv")
    write_table(
        predictions, output / "predictions.parquet", study_predictions_schema(classes), provenance
    )


if __name__ == "__main__":
    main()
