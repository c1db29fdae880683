"""Predict the test utterances of a trained run under the clean and every perturbed condition."""

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
from emoscale.tables.parquet import read_fold, table_provenance, write_table
from emoscale.tables.schemas import perturbed_schema
from emoscale.training.saved_run import SavedRun, read_run


@click.command(help=__doc__)
@file_option("--run", "Folder of the trained run.")
@file_option("--protocol", "Table of the run's fold.")
@click.option(
    "--features",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="Index of a representation's features; once for each representation that the run reads.",
)
@click.option(
    "--perturbed",
    required=True,
    multiple=True,
    type=click.Path(path_type=Path),
    help="Index of features of perturbed audio: <condition>/<representation>/index.parquet; "
    "once for each condition and representation.",
)
@file_option("--output", "Table of predictions to write.")
@computing_options
@report_user_errors
def main(
    run: Path,
    protocol: Path,
    features: tuple[Path, ...],
    perturbed: tuple[Path, ...],
    output: Path,
    device: str,
    threads: int,
) -> None:
    torch.set_num_threads(threads)
    saved = read_run(run)
    clean_stores = _feature_stores(saved, features)
    indices_of: dict[str, list[Path]] = {}
    for index in perturbed:
        indices_of.setdefault(index.parent.parent.name, []).append(index)
    perturbed_stores = {
        condition: _feature_stores(saved, (*features, *indices))
        for condition, indices in indices_of.items()
    }
    fold = read_fold(protocol)
    with explain_out_of_memory(f"{saved.name} under perturbed conditions"):
        table = predict_conditions(
            saved, fold, clean_stores, perturbed_stores, choose_device(device)
        )
    inputs = [run / "model.safetensors", protocol, *features, *perturbed]
    provenance = table_provenance(output.parent, __file__, inputs)
    write_table(table, output, perturbed_schema(saved.classes), provenance)


def _feature_stores(run: SavedRun, indices: Iterable[Path]) -> list[FeatureStore]:
    """Open the store of each input; of two indices of a representation the later one is used."""
    index_of = {index.parent.name: index for index in indices}
    for record in run.inputs:
        if record.name not in index_of:
            raise StoreError(
                f"{run.name} reads the representation {record.name}; name the index of its "
                "features with --features"
            )
    return [FeatureStore(index_of[record.name], record.layer) for record in run.inputs]


if __name__ == "__main__":
    main()
