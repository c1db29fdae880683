"""Score all experiments in every condition of perturbed test audio."""

import json
from pathlib import Path

import click
import polars as pl

from emoscale.config import parse_settings
from emoscale.config.protocol import SeededProtocolSettings
from emoscale.config.robustness import ConditionSettings
from emoscale.evaluation.robustness import ROBUSTNESS, robustness_table
from emoscale.runtime.command import (
    file_option,
    json_option,
    protocol_option,
    report_user_errors,
)
from emoscale.tables.parquet import read_table, table_provenance, write_csv, write_table
from emoscale.tables.schemas import UTTERANCES, perturbed_schema


@click.command(help=__doc__)
@file_option("--predictions", "Folder of the predictions on perturbed test audio.")
@json_option("--cells", 'JSON: {"sizes": {EXPERIMENT: [SIZE]}, "folds": []}.')
@click.option("--conditions", required=True, help="Settings of the conditions by name, as JSON.")
@protocol_option
@file_option("--utterances", "Utterance table.")
@file_option("--output", "Parquet file; a CSV file is written next to it.")
@report_user_errors
def main(
    predictions: Path,
    cells: str,
    conditions: str,
    protocol: str,
    utterances: Path,
    output: Path,
) -> None:
    requested = json.loads(cells)
    condition_settings = parse_settings(dict[str, ConditionSettings], conditions, "--conditions")
    protocol_settings: SeededProtocolSettings = parse_settings(
        SeededProtocolSettings, protocol, "--protocol"
    )
    speaker_of = read_table(utterances, UTTERANCES)
    classes = sorted(speaker_of["label"].drop_nulls().unique())
    folds = requested["folds"]
    tables, paths = [], []
    for experiment, sizes in requested["sizes"].items():
        for size in sizes:
            of_folds = [predictions / experiment / fold / f"{size}.parquet" for fold in folds]
            paths += of_folds
            answers = pl.concat(
                read_table(path, perturbed_schema(classes)).with_columns(
                    experiment=pl.lit(experiment),
                    size=pl.lit(size),
                    fold=pl.lit(fold),
                    order=pl.col("repeat") // protocol_settings.seeds_per_order,
                )
                for fold, path in zip(folds, of_folds, strict=True)
            )
            tables.append(
                robustness_table(
                    answers, condition_settings, speaker_of, classes, protocol_settings.seed
                )
            )
    table = pl.concat(tables)
    provenance = table_provenance(output.parent, __file__, [utterances, *paths])
    write_table(table, output, ROBUSTNESS, provenance)
    write_csv(table, output.with_suffix(".csv"))


if __name__ == "__main__":
    main()
