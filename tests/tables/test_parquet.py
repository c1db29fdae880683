"""Round trips of Parquet tables, and refusal of tables that do not match a schema."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from emoscale.runtime.errors import StoreError
from emoscale.tables.parquet import dataframe_of, read_metadata, read_table, write_csv, write_table
from emoscale.tables.schemas import FEATURE_INDEX, REJECTED

ROW: dict[str, object] = {"utterance": "a", "shard": "00.h5", "row": 0, "frames": 3, "chunks": 1}


def test_round_trip_keeps_metadata_and_is_reproducible(tmp_path: Path) -> None:
    table = dataframe_of([ROW], FEATURE_INDEX)
    for name in ("one", "two"):
        write_table(table, tmp_path / name, FEATURE_INDEX, {"source": "ü"})
    assert read_table(tmp_path / "one", FEATURE_INDEX).equals(table)
    assert read_metadata(tmp_path / "one") == {"source": "ü"}
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"more": 1}, "unknown: \\['more'\\]"),
        ({"row": None}, "'row' with null values"),
        ({"row": "x"}, "does not match its schema"),
    ],
)
def test_tables_that_do_not_match_their_schema_are_refused(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    table = pl.DataFrame([{**ROW, **change}])
    with pytest.raises(StoreError, match=message):
        write_table(table, tmp_path / "a", FEATURE_INDEX)
    assert list(tmp_path.iterdir()) == []


def test_missing_and_damaged_files_and_other_schemas_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    with pytest.raises(StoreError, match="does not exist"):
        read_table(path, FEATURE_INDEX)
    write_table(dataframe_of([ROW], FEATURE_INDEX), path, FEATURE_INDEX)
    with pytest.raises(StoreError, match="does not have the schema expected"):
        read_table(path, REJECTED)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StoreError, match="cannot be read as Parquet"):
        read_table(path, FEATURE_INDEX)


def test_csv_has_nested_values_as_json(tmp_path: Path) -> None:
    write_csv(pl.DataFrame({"a": [1], "b": [[{"w": "ü", "t": 0.5}]]}), tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text().splitlines()[1].startswith('1,"[{""w""')
