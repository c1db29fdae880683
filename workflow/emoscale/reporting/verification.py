"""Verification of a study's results: each file is checked against the digests of its sources."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from emoscale.config.pretraining import (
    PretrainingSettings,
    Wav2Vec2Pretraining,
    Wav2VecPretraining,
)
from emoscale.representations.weights.local_checkpoint import (
    CheckpointRecord,
    pretrained_checkpoint,
    read_checkpoint_record,
)
from emoscale.runtime.errors import StoreError, UserError
from emoscale.runtime.provenance import file_sha256
from emoscale.store.index import FeatureStore
from emoscale.store.shard import shard_digest, verify_shard
from emoscale.tables.parquet import (
    SOURCE_DIGESTS,
    read_any_table,
    read_arrow,
    read_metadata,
    source_sha256,
)
from emoscale.training.run_record import (
    HISTORY,
    PREDICTIONS,
    RECORD,
    WEIGHTS,
    CellName,
    InputRecord,
    read_run_record,
    verify_run_file,
)
from emoscale.training.saved_run import read_run

_TABLES = ("corpus", "protocol", "robustness", "tables", "checkpoints")
"""Folders whose Parquet files are written by `write_table`."""

_PRETRAINING: Mapping[str, type[PretrainingSettings]] = {
    "wav2vec": Wav2VecPretraining,
    "wav2vec2": Wav2Vec2Pretraining,
}


@dataclass
class Verification:
    """Result of a verification: how many files were checked, and which errors were found."""

    checked: dict[str, int] = field(default_factory=dict)
    """Number of checked files by the folder of the results."""

    errors: list[str] = field(default_factory=list)
    """One sentence per error, with the file."""

    def check(self, name: str, path: Path, find_errors: Callable[[Path], Iterator[str]]) -> None:
        """Check a file and record its errors.

        Parameters
        ----------
        name : str
            Folder of the results that the file is counted for.
        path : Path
            The file.
        find_errors : callable
            Yields the errors of the file, or raises a `UserError`.
        """
        self.checked[name] = self.checked.get(name, 0) + 1
        try:
            self.errors += [f"{path}: {error}" for error in find_errors(path)]
        except UserError as error:
            self.errors.append(str(error))


def verify_study(folder: Path, quick: bool = False) -> Verification:
    """Check every file of a study's results; no file is changed.

    Parameters
    ----------
    folder : Path
        Results of the study, such as `results/demo`.
    quick : bool
        Skip the shards of features, which are large.

    Returns
    -------
    Verification
        The number of checked files, and the errors.

    Raises
    ------
    StoreError
        If the folder does not exist.
    """
    if not folder.is_dir():
        raise StoreError(f"{folder} is not a folder: name a study's results, such as results/demo")
    verification = Verification()
    for name in _TABLES:
        for path in sorted((folder / name).rglob("*.parquet")):
            verification.check(name, path, _table_errors)
    for path in sorted((folder / "checkpoints").glob("*.json")):
        verification.check("checkpoints", path, _checkpoint_record_errors)
    for path in sorted(folder.glob("features/*/index.parquet")):
        verification.check("features", path, lambda index: _feature_errors(index, quick))
    for path in sorted(folder.glob("features/*/speakers.parquet")):
        verification.check("features", path, _table_errors)
    for path in sorted(folder.glob("perturbed/*/*/index.parquet")):
        verification.check("perturbed", path, lambda index: _feature_errors(index, quick))
    for path in _run_records(folder):
        verification.check("runs", path, lambda record: _run_errors(record, folder))
    return verification


def _run_records(folder: Path) -> list[Path]:
    """Return the run records of the tables; other runs are of removed experiments."""
    table = folder / "tables" / "runs.parquet"
    try:
        rows = read_any_table(table).select("experiment", "fold", "size").unique().sort(pl.all())
    except StoreError:  # the study is not finished; a damaged table has been reported already
        return sorted(folder.glob(f"runs/*/*/*/{RECORD}"))
    return [CellName(*row).folder(folder / "runs") / RECORD for row in rows.iter_rows()]


def _table_errors(path: Path) -> Iterator[str]:
    read_arrow(path)
    for name, recorded in json.loads(read_metadata(path).get(SOURCE_DIGESTS, "{}")).items():
        source = path.parent / name
        if not source.exists():
            if "perturbed" not in source.parts:  # these may be removed after prediction
                yield f"was computed from {source}, which is missing; run the study again"
        elif source_sha256(source) != recorded:
            yield f"was computed from a different version of {source}; run the study again"


def _checkpoint_record_errors(path: Path) -> Iterator[str]:
    record = read_checkpoint_record(path)
    kind = _pretraining_of(record)
    if kind is not None:
        weights = pretrained_checkpoint(path, record, kind.weights)
        if weights.sha256 != record.sha256:
            yield f"{weights.path} is not the recorded checkpoint; remove the record and run again"


def _pretraining_of(record: CheckpointRecord) -> type[PretrainingSettings] | None:
    """Return the kind of the pre-training; None for a checkpoint that was fetched."""
    return _PRETRAINING.get(json.loads(record.source or "{}").get("pretrain"))


def _weights_errors(features: InputRecord, folder: Path) -> Iterator[str]:
    for key in getattr(features.settings, "checkpoint_keys", ()):
        path = folder / "checkpoints" / f"{getattr(features.settings, key)}.json"
        if not path.exists():
            continue
        record = read_checkpoint_record(path)
        # transformers' models have another digest in the record of a run: of the weights alone.
        is_file = _pretraining_of(record) is Wav2VecPretraining
        if is_file and record.sha256 != features.checkpoint_sha256:
            yield f"was trained with other weights than those of {path}; run the study again"


def _feature_errors(index: Path, quick: bool) -> Iterator[str]:
    read_arrow(index)
    for name, recorded in FeatureStore(index).shards.items():
        shard = index.parent / name
        if not shard.exists():
            yield f"refers to {name}, which is missing; remove the index and run again"
        elif not quick:
            verify_shard(shard)
            if shard_digest(shard) != recorded:
                yield (
                    f"was computed from a different version of {name}; remove the index and run "
                    "again"
                )


def _run_errors(path: Path, folder: Path) -> Iterator[str]:
    record = read_run_record(path)
    for name in (PREDICTIONS, HISTORY, WEIGHTS):
        verify_run_file(path.with_name(name), record)
    read_run(path.parent)
    fold = folder / "protocol" / f"{record.fold}.parquet"
    if not fold.exists() or file_sha256(fold) != record.protocol_sha256:
        yield f"was trained on a different version of {fold}; run the study again"
    for features in record.inputs:
        index = folder / "features" / features.name / "index.parquet"
        if not index.exists() or FeatureStore(index).sha256 != features.features_sha256:
            yield f"was trained on a different version of the features {index}; run the study again"
        yield from _weights_errors(features, folder)
