"""Train all repeats of one experiment, fold and training size."""

from pathlib import Path

import click
import torch

from emoscale.config import parse_settings
from emoscale.config.checkpoints import PredictionSettings
from emoscale.config.training import CellSettings
from emoscale.models.registry import sources_of
from emoscale.runtime.command import (
    computing_options,
    file_option,
    files_argument,
    report_user_errors,
)
from emoscale.runtime.devices import choose_device
from emoscale.runtime.memory import explain_out_of_memory
from emoscale.runtime.provenance import code_digest, file_sha256
from emoscale.store.index import FeatureStore
from emoscale.tables.parquet import read_fold
from emoscale.training.cell import train_cell
from emoscale.training.memory import memory_advice
from emoscale.training.prepared_cell import Cell
from emoscale.training.run_record import CellName


@click.command(help=__doc__)
@click.option(
    "--settings",
    required=True,
    help="Settings of the cell, as JSON.",
)
@click.option("--experiment", required=True, help="Name of the experiment.")
@click.option("--fold", required=True, help="Name of the fold.")
@click.option("--size", required=True, help="Training size: a total, a number-per-class, or all.")
@file_option("--protocol", "Protocol table of the fold.")
@click.option(
    "--prediction",
    default="{}",
    help="Settings for predict.py, as JSON: audio checks, checkpoints and their cache.",
)
@file_option("--output", "Folder of the run.")
@computing_options
@files_argument("features")
@report_user_errors
def main(
    settings: str,
    experiment: str,
    fold: str,
    size: str,
    protocol: Path,
    prediction: str,
    output: Path,
    device: str,
    threads: int,
    features: tuple[Path, ...],
) -> None:
    """FEATURES: index of each representation's features, in the order of the model's inputs."""
    torch.set_num_threads(threads)
    parsed: CellSettings = parse_settings(CellSettings, settings, "--settings")
    stores = [
        FeatureStore(index, layer) for index, layer in zip(features, parsed.layers, strict=True)
    ]
    cell = Cell(
        CellName(experiment, fold, size),
        parsed,
        read_fold(protocol),
        stores,
        code_digest(Path(__file__), *sources_of(parsed.model.kind)),
        file_sha256(protocol),
        parse_settings(PredictionSettings, prediction, "--prediction"),
    )
    advice = memory_advice(parsed.model.kind, parsed.training.batch_size, stores)
    with explain_out_of_memory(f"{experiment}, {fold}, size {size}", advice):
        summary = train_cell(cell, output, choose_device(device))
    for path in summary.damaged:
        click.echo(f"{path} is damaged and was not used; its training was repeated")
    click.echo(f"trainings: {summary.cached} from the cache, {summary.trained} trained")


if __name__ == "__main__":
    main()
