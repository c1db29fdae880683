"""Whether two folders of results hold the same, but for measured times and memory."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from emoscale.tables.digests import MEASURED


def compared(study: Path) -> set[Path]:
    """The files that two runs of one study must agree in, relative to the study's folder.

    Not what a run keeps for itself (.trainings/, whose files know how long trainings took).
    """
    return {
        path.relative_to(study)
        for kind in ("*.parquet", "*.h5", "*.safetensors")
        for path in study.rglob(kind)
        if not any(part.startswith(".") for part in path.relative_to(study).parts)
    }


def differences(one: Path, two: Path) -> list[str]:
    """The files that only one folder has, or that hold something else in the other."""
    found = [f"{name} is in one of them only" for name in sorted(compared(one) ^ compared(two))]
    for name in sorted(compared(one) & compared(two)):
        if (one / name).read_bytes() == (two / name).read_bytes():
            continue
        if name.suffix != ".parquet":
            found.append(f"{name} has other bytes")
            continue
        schema = pq.read_schema(one / name)
        measured = [field.name for field in schema if MEASURED in (field.metadata or {})]
        tables = [pl.read_parquet(root / name).drop(measured) for root in (one, two)]
        if not measured or not tables[0].equals(tables[1]):
            found.append(f"{name} holds something else")
    return found
