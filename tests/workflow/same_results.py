"""Comparison of two folders of results, except for measured times and memory."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from emoscale.tables.digests import MEASURED


def comparable_files(study: Path) -> set[Path]:
    """Return the files that must agree in two runs of a study, relative to the study's folder.

    Hidden folders are left out: the cached trainings hold measured times.
    """
    return {
        path.relative_to(study)
        for kind in ("*.parquet", "*.h5", "*.safetensors")
        for path in study.rglob(kind)
        if not any(part.startswith(".") for part in path.relative_to(study).parts)
    }


def differences(one: Path, two: Path) -> list[str]:
    """List the files that are in one folder only or whose contents differ."""
    messages = [
        f"{name} is in one folder only"
        for name in sorted(comparable_files(one) ^ comparable_files(two))
    ]
    for name in sorted(comparable_files(one) & comparable_files(two)):
        if (one / name).read_bytes() == (two / name).read_bytes():
            continue
        if name.suffix != ".parquet":
            messages.append(f"{name} differs in its bytes")
            continue
        schema = pq.read_schema(one / name)
        measured = [field.name for field in schema if MEASURED in (field.metadata or {})]
        tables = [pl.read_parquet(root / name).drop(measured) for root in (one, two)]
        if not measured or not tables[0].equals(tables[1]):
            messages.append(f"{name} differs in its values")
    return messages
