"""Damaged Parquet files are read with their original content, or refused with a message."""

from __future__ import annotations

from pathlib import Path

import polars as pl
from hypothesis import given, settings

from emoscale.tables.parquet import read_fold, read_metadata, write_table
from emoscale.tables.schemas import fold_schema
from tests.damage import check_reading, damaged_bytes

FOLD = pl.DataFrame(
    {
        "utterance": [f"u{number:02d}" for number in range(12)],
        "role": ["train"] * 6 + ["dev"] * 3 + ["test"] * 3,
        "label": ["a", "b", "c"] * 4,
        "speaker": ["anna", "ben"] * 6,
        "votes": [[{"label": "a", "share": 0.25}, {"label": "b", "share": 0.75}]] * 12,
        "rank_0": [*range(6), *[None] * 6],
    }
)


def test_damaged_tables(tmp_path: Path) -> None:
    path = tmp_path / "fold.parquet"
    write_table(FOLD, path, fold_schema(1), {"source": "ü"})
    intact = path.read_bytes()
    expected = read_fold(path)

    @settings(max_examples=150)
    @given(content=damaged_bytes(intact))
    def read_damaged(content: bytes) -> None:
        path.write_bytes(content)
        if check_reading(tmp_path, lambda: (read_metadata(path), read_fold(path))):
            assert read_fold(path).equals(expected)

    read_damaged()
