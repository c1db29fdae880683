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
from emoscale.store.memory_budget import MemoryBudget
from emoscale.tables.parquet import read_fold
from emoscale.training.cell import train_cell
from emoscale.training.memory import settings_that_help
from emoscale.training.prepared_cell import Cell
from emoscale.training.run_record import CellName

# Of a training besides its features: libraries, a batch, and what of a shard is being read.
_OTHERWISE_MEGABYTES = 1500


@click.command(help=__doc__)
@click.option("--settings", required=True, help="Model, training and seed, as JSON.")
@click.option("--experiment", required=True)
@click.option("--fold", required=True)
@click.option("--size", required=True, help="A total, a number-per-class, or all.")
@file_option("--protocol", "The fold's table.")
@click.option(
    "--prediction",
    default="{}",
    help="What predict.py is to know: audio checks, checkpoints and their cache, as JSON.",
)
@file_option("--output", "Folder.")
@computing_options
@click.option(
    "--memory",
    type=click.IntRange(min=2000),
    help="Megabytes that the job may take; features beyond it are mapped from temporary files.",
)
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
    memory: int | None,
    features: tuple[Path, ...],
) -> None:
    """FEATURES: the index of each representation's features, in the model's order."""
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
    budget = MemoryBudget()
    if memory is not None:
        budget = MemoryBudget((memory - _OTHERWISE_MEGABYTES) * 1_000_000)
    advice = settings_that_help(parsed.model.kind, parsed.training.batch_size, stores)
    with explain_out_of_memory(f"{experiment}, {fold}, size {size}", advice):
        done = train_cell(cell, output, choose_device(device), budget)
    for path in done.damaged:
        click.echo(f"{path} is damaged: it was not used, and that training was done again")
    click.echo(f"trainings: {done.cached} from the cache, {done.trained} trained")


if __name__ == "__main__":
    main()
