"""Predict a trained run's test utterances as heard under every condition."""

from collections.abc import Iterable
from pathlib import Path

import click
import torch

from emoscale.prediction.perturbed import predict_conditions
from emoscale.runtime.command import computing_options, file_option, report_user_errors
from emoscale.runtime.devices import choose_device
from emoscale.runtime.errors import StoreError
from emoscale.runtime.memory import explain_out_of_memory
from emoscale.store.index import FeatureStore
from emoscale.tables.parquet import read_fold, table_origin, write_table
from emoscale.tables.schemas import perturbed_schema
from emoscale.training.saved_run import SavedRun, read_run

# Besides the test utterances' features: libraries, a batch, and what of a shard is being read.
_OTHERWISE_MEGABYTES = 1500


@click.command(help=__doc__)
@file_option("--run", "Folder of a training.")
@file_option("--protocol", "Its fold.")
@click.option(
    "--features",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="Index of a representation's features; once for each that the run reads.",
)
@click.option(
    "--perturbed",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="The same of changed audio: <condition>/<representation>/index.parquet.",
)
@file_option("--output")
@computing_options
@click.option("--memory", type=click.IntRange(min=2000), help="Megabytes that the job may take.")
@report_user_errors
def main(
    run: Path,
    protocol: Path,
    features: tuple[Path, ...],
    perturbed: tuple[Path, ...],
    output: Path,
    device: str,
    threads: int,
    memory: int | None,
) -> None:
    torch.set_num_threads(threads)
    saved = read_run(run)
    clean = _stores(saved, features)
    conditions: dict[str, list[Path]] = {}
    for index in perturbed:
        conditions.setdefault(index.parent.parent.name, []).append(index)
    heard = {name: _stores(saved, (*features, *own)) for name, own in conditions.items()}
    room = None if memory is None else (memory - _OTHERWISE_MEGABYTES) * 1_000_000
    fold = read_fold(protocol)
    with explain_out_of_memory(f"{saved.name} under changed conditions"):
        table = predict_conditions(saved, fold, clean, heard, choose_device(device), room)
    sources = [run / "model.safetensors", protocol, *features, *perturbed]
    origin = table_origin(output.parent, __file__, sources)
    write_table(table, output, perturbed_schema(saved.classes), origin)


def _stores(run: SavedRun, indices: Iterable[Path]) -> list[FeatureStore]:
    """Of each input of the run; of two indices of a representation the later is taken."""
    index_of = {index.parent.name: index for index in indices}
    for each in run.inputs:
        if each.name not in index_of:
            raise StoreError(f"{run.name} reads {each.name}; name its index with --features")
    return [FeatureStore(index_of[each.name], each.layer) for each in run.inputs]


if __name__ == "__main__":
    main()
