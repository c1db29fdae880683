"""Verification of a study's results: files against the digests that they carry of one another."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from emoscale.representations.weights.origin import read_stamp
from emoscale.runtime.errors import StoreError, UserError
from emoscale.runtime.provenance import file_sha256
from emoscale.store.index import FeatureStore
from emoscale.store.shard import shard_digest, verify_shard
from emoscale.tables.parquet import (
    MADE_FROM,
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
    check_file_of_run,
    read_run_record,
)
from emoscale.training.saved_run import read_run

_TABLES = ("corpus", "protocol", "robustness", "tables")
"""Folders whose Parquet files are tables of `write_table`."""


@dataclass
class Verification:
    """What was checked, and a sentence for each thing that is wrong."""

    checked: dict[str, int] = field(default_factory=dict)
    """Files by the part of the results that they belong to."""

    wrong: list[str] = field(default_factory=list)

    def check(self, part: str, path: Path, problems: Callable[[Path], Iterator[str]]) -> None:
        """Count the file, and keep what `problems` finds or raises."""
        self.checked[part] = self.checked.get(part, 0) + 1
        try:
            self.wrong += [f"{path}: {problem}" for problem in problems(path)]
        except UserError as error:
            self.wrong.append(str(error))


def verify_study(folder: Path, quick: bool = False) -> Verification:
    """Check every file of a study's results; `quick` reads no shard of features.

    Nothing is changed. Raises `StoreError` where there is no such folder.
    """
    if not folder.is_dir():
        raise StoreError(f"{folder} is no folder: name a study's results, such as results/demo")
    found = Verification()
    for part in _TABLES:
        for path in sorted((folder / part).rglob("*.parquet")):
            found.check(part, path, _table)
    for path in sorted((folder / "checkpoints").glob("*.json")):
        found.check("checkpoints", path, _stamp)
    for path in sorted(folder.glob("features/*/index.parquet")):
        found.check("features", path, lambda index: _features(index, quick))
    for path in sorted(folder.glob("perturbed/*/*/index.parquet")):
        found.check("perturbed", path, lambda index: _features(index, quick))
    for path in _runs_of_tables(folder):
        found.check("runs", path, lambda record: _run(record, folder))
    return found


def _runs_of_tables(folder: Path) -> list[Path]:
    """Records of the runs that the tables show: others are of experiments that were removed."""
    table = folder / "tables" / "runs.parquet"
    try:
        rows = read_any_table(table).select("experiment", "fold", "size").unique().sort(pl.all())
    except StoreError:  # a study that is not finished; a damaged table was named before
        return sorted(folder.glob(f"runs/*/*/*/{RECORD}"))
    return [CellName(*row).folder(folder / "runs") / RECORD for row in rows.iter_rows()]


def _table(path: Path) -> Iterator[str]:
    read_arrow(path)
    for name, stated in json.loads(read_metadata(path).get(MADE_FROM, "{}")).items():
        source = path.parent / name
        if not source.exists():
            if "perturbed" not in source.parts:  # may be removed when it has been predicted from
                yield f"was made from {source}, which is missing; run the study again"
        elif source_sha256(source) != stated:
            yield f"was made from another {source} than is there now; run the study again"


def _stamp(path: Path) -> Iterator[str]:
    read_stamp(path)
    yield from ()


def _features(index: Path, quick: bool) -> Iterator[str]:
    read_arrow(index)
    for name, stated in FeatureStore(index).shards.items():
        shard = index.parent / name
        if not shard.exists():
            yield f"names {name}, which is missing; remove the index and run again"
        elif not quick:
            verify_shard(shard)
            if shard_digest(shard) != stated:
                yield f"was made from another {name} than is there now; remove it and run again"


def _run(path: Path, folder: Path) -> Iterator[str]:
    record = read_run_record(path)
    for name in (PREDICTIONS, HISTORY, WEIGHTS):
        check_file_of_run(path.with_name(name), record)
    read_run(path.parent)
    fold = folder / "protocol" / f"{record.fold}.parquet"
    if not fold.exists() or file_sha256(fold) != record.protocol_sha256:
        yield f"was trained on another {fold} than is there now; run the study again"
    for each in record.inputs:
        index = folder / "features" / each.name / "index.parquet"
        if not index.exists() or FeatureStore(index).sha256 != each.features_sha256:
            yield f"was trained on other features than {index} has now; run the study again"
