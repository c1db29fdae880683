"""Train all repeats of one experiment, fold and training size."""

from pathlib import Path

import click
import torch

from emoscale.config import parse_settings
from emoscale.config.prediction import PredictionSettings
from emoscale.models.registry import sources_of
from emoscale.runtime.command import computing_options, file_option, files_argument, shows_sentences
from emoscale.runtime.devices import choose_device
from emoscale.runtime.memory import says_memory_ran_out
from emoscale.runtime.provenance import canonical_json, code_digest, digest, file_sha256
from emoscale.store.index import FeatureStore
from emoscale.store.room import Room
from emoscale.tables.schemas import read_fold
from emoscale.training.cell import Cell, CellSettings, train_cell
from emoscale.training.kept import KEPT
from emoscale.training.memory import keep_freed_memory, settings_that_help

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
    "--checkpoint-seconds",
    default=20.0,
    show_default=True,
    help="How often is saved what a killed job needs to go on.",
)
@click.option(
    "--memory",
    type=click.IntRange(min=2000),
    help="Megabytes that the job may take; features beyond it are mapped from temporary files.",
)
@files_argument("features")
@shows_sentences
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
    checkpoint_seconds: float,
    memory: int | None,
    features: tuple[Path, ...],
) -> None:
    """FEATURES: the index of each representation's features, in the model's order."""
    torch.set_num_threads(threads)
    keep_freed_memory()
    parsed: CellSettings = parse_settings(CellSettings, settings, "--settings")
    stores = [
        FeatureStore(index, layer) for index, layer in zip(features, parsed.layers, strict=True)
    ]
    canonical = canonical_json(parsed.model_dump(mode="json"))
    origin = {
        "settings": canonical,
        "settings_sha256": digest(canonical),
        "code_sha256": code_digest(Path(__file__), *sources_of(parsed.model.kind)),
        "protocol_sha256": file_sha256(protocol),
        "representations": [
            store.path.parent.name + ("" if store.layer is None else f"/{store.layer}")
            for store in stores
        ],
        "weights": [store.weights for store in stores],
        "features_sha256": [store.sha256 for store in stores],
        "checkpoint_sha256": [store.checkpoint_sha256 for store in stores],
        "corpus_sha256": [store.corpus_sha256 for store in stores],
    }
    kept = parse_settings(PredictionSettings, prediction, "--prediction")
    cell = Cell(experiment, fold, size)
    table, place = read_fold(protocol), choose_device(device)
    room = Room() if memory is None else Room((memory - _OTHERWISE_MEGABYTES) * 1_000_000)
    advice = settings_that_help(parsed.model.kind, parsed.training.batch_utterances, stores)
    with says_memory_ran_out(f"{experiment}, {fold}, size {size}", advice):
        done = train_cell(
            cell, parsed, table, stores, output, place, origin, kept, room, checkpoint_seconds
        )
    if done.damaged:
        click.echo(f"{output / KEPT} is damaged: nothing of it is used")
    click.echo(f"repeats: {done.kept} kept, {done.trained} trained")


if __name__ == "__main__":
    main()
