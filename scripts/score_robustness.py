"""Score all experiments under every condition that their test audio was put through."""

import json
from pathlib import Path

import click
import polars as pl

from emoscale.config import parse_settings
from emoscale.config.protocol import SeededProtocolSettings
from emoscale.config.robustness import ConditionSettings
from emoscale.evaluation.robustness import ROBUSTNESS, robustness_table
from emoscale.runtime.command import file_option, protocol_option, report_user_errors
from emoscale.tables.parquet import read_table, table_origin, write_csv, write_table
from emoscale.tables.schemas import UTTERANCES, perturbed_schema


@click.command(help=__doc__)
@file_option("--predictions", "Folder of all of them.")
@click.option("--cells", required=True, help='JSON: {"sizes": {EXPERIMENT: [SIZE]}, "folds": []}.')
@click.option("--conditions", required=True, help="Their settings by name, as JSON.")
@protocol_option
@file_option("--utterances")
@file_option("--output", "A .parquet file.")
@report_user_errors
def main(
    predictions: Path,
    cells: str,
    conditions: str,
    protocol: str,
    utterances: Path,
    output: Path,
) -> None:
    wanted = json.loads(cells)
    settings = parse_settings(dict[str, ConditionSettings], conditions, "--conditions")
    orders: SeededProtocolSettings = parse_settings(SeededProtocolSettings, protocol, "--protocol")
    speaker_of = read_table(utterances, UTTERANCES)
    classes = sorted(speaker_of["label"].drop_nulls().unique())
    read = [
        (experiment, fold, size, predictions / experiment / fold / f"{size}.parquet")
        for experiment, sizes in wanted["sizes"].items()
        for size in sizes
        for fold in wanted["folds"]
    ]
    tables = [
        read_table(path, perturbed_schema(classes)).with_columns(
            experiment=pl.lit(experiment),
            size=pl.lit(size),
            fold=pl.lit(fold),
            order=pl.col("repeat") // orders.seeds_per_order,
        )
        for experiment, fold, size, path in read
    ]
    table = robustness_table(pl.concat(tables), settings, speaker_of, classes, orders.seed)
    origin = table_origin(output.parent, __file__, [utterances, *(cell[-1] for cell in read)])
    write_table(table, output, ROBUSTNESS, origin)
    write_csv(table, output.with_suffix(".csv"))


if __name__ == "__main__":
    main()
