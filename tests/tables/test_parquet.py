"""Round trips of Parquet tables, and refusal of tables that do not match a schema."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

from emoscale.runtime.errors import StoreError
from emoscale.tables.parquet import (
    dataframe_of,
    read_metadata,
    read_parts,
    read_table,
    result_sha256,
    write_csv,
    write_parts,
    write_table,
)
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


def test_parts_are_written_and_read_one_by_one(tmp_path: Path) -> None:
    parts = [dataframe_of([{**ROW, "row": row}] * 2, FEATURE_INDEX) for row in range(3)]
    for name in ("one", "two"):
        write_parts(iter(parts), tmp_path / name, FEATURE_INDEX, {"source": "ü"})
    path = tmp_path / "one"
    read = list(read_parts(path, FEATURE_INDEX))
    assert all(one.equals(other) for one, other in zip(read, parts, strict=True))
    assert read_table(path, FEATURE_INDEX).equals(pl.concat(parts))
    assert read_metadata(path) == {"source": "ü"}
    assert path.read_bytes() == (tmp_path / "two").read_bytes()
    write_parts(parts[:2], tmp_path / "two", FEATURE_INDEX)
    assert result_sha256(path) != result_sha256(tmp_path / "two")
    with pytest.raises(StoreError, match="unknown"):
        write_parts([pl.DataFrame([{**ROW, "more": 1}])], tmp_path / "two", FEATURE_INDEX)
    with pytest.raises(StoreError, match="does not have the schema expected"):
        list(read_parts(path, REJECTED))


def test_no_flipped_bit_changes_the_values_of_parts(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    parts = [dataframe_of([{**ROW, "row": row}], FEATURE_INDEX) for row in range(2)]
    write_parts(parts, path, FEATURE_INDEX)
    intact, refused = path.read_bytes(), 0
    for position in range(4, len(intact), 7):
        damaged = bytearray(intact)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        try:
            read = list(read_parts(path, FEATURE_INDEX))
        except StoreError:
            refused += 1
        else:
            assert all(one.equals(other) for one, other in zip(read, parts, strict=True))
    assert refused > 100
