"""Gather the runs of a study into its tables."""

import json
from pathlib import Path

import click

from emoscale.config import parse_settings
from emoscale.config.protocol import SeededProtocolSettings
from emoscale.evaluation.layer_weights import LAYER_WEIGHTS
from emoscale.evaluation.runs import collect_runs, predictions_of_study, runs_schema
from emoscale.evaluation.scores import CONFUSION, confusion_table, score_table, scores_schema
from emoscale.evaluation.trials import TRIALS
from emoscale.runtime.command import file_option, protocol_option, report_user_errors
from emoscale.tables.parquet import read_table, table_origin, write_csv, write_table
from emoscale.tables.schemas import UTTERANCES
from emoscale.training.run_record import CellName


@click.command(help=__doc__)
@click.option("--study", required=True)
@click.option("--corpus-name", required=True, help="What it is called in the tables.")
@file_option("--runs", "Folder of all runs.")
@click.option("--cells", required=True, help='JSON: {"experiments": {NAME: [SIZE]}, "folds": []}.')
@protocol_option
@file_option("--utterances")
@file_option("--checks", "Protocol checks.")
@file_option("--output", "Folder of tables.")
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
    wanted = json.loads(cells)
    settings: SeededProtocolSettings = parse_settings(
        SeededProtocolSettings, protocol, "--protocol"
    )
    names = [
        CellName(experiment, fold, size)
        for experiment, sizes in wanted["experiments"].items()
        for size in sizes
        for fold in wanted["folds"]
    ]
    notes = "; ".join(json.loads(checks.read_text(encoding="utf-8"))["warnings"])
    found = collect_runs(runs, names, study, corpus_name, notes, settings)
    classes, predictions = found.classes, found.predictions
    speaker_of = read_table(utterances, UTTERANCES).select("utterance", "speaker")
    scores = score_table(found.runs, predictions, speaker_of, classes, settings)
    # Each row of `runs` names the digests of its training; the other tables lead to it.
    own = output / "runs.parquet"
    write_table(found.runs, own, runs_schema(classes), table_origin(output, __file__, [checks]))
    write_csv(found.runs, own.with_suffix(".csv"))
    origin = table_origin(output, __file__, [own, utterances])
    for name, table, schema in (
        ("scores", scores, scores_schema(classes)),
        ("confusion", confusion_table(predictions, classes), CONFUSION),
        ("trials", found.trials, TRIALS),
        ("layer_weights", found.layer_weights, LAYER_WEIGHTS),
    ):
        write_table(table, output / f"{name}.parquet", schema, origin)
        write_csv(table.select(schema.names), output / f"{name}.csv")
    write_table(predictions, output / "predictions.parquet", predictions_of_study(classes), origin)


if __name__ == "__main__":
    main()
