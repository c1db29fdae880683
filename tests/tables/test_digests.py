"""Digests of a table detect every changed value, and leave out measured times."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emoscale.runtime.errors import StoreError
from emoscale.tables.parquet import read_metadata, read_table, result_sha256, write_table
from emoscale.tables.schemas import schema_field

SCHEMA = pa.schema(
    [
        schema_field("name", pa.string(), "a name", null=True),
        schema_field("seconds", pa.float64(), "time", measured=True),
        schema_field("words", pa.list_(pa.struct([("word", pa.string())])), "words", null=True),
    ]
)


def table(second: float = 1.0, name: str | None = "a") -> pl.DataFrame:
    return pl.DataFrame(
        {"name": [name, "b"], "seconds": [second, 2.0], "words": [[{"word": "x"}], None]}
    )


@pytest.fixture
def table_path(tmp_path: Path) -> Path:
    write_table(table(), tmp_path / "small.parquet", SCHEMA)
    return tmp_path / "small.parquet"


def test_content_that_does_not_match_its_digest_is_refused(table_path: Path) -> None:
    arrow = pq.read_table(table_path)
    changed = arrow.set_column(1, arrow.schema.field(1), pa.array([1.0, 3.0]))
    pq.write_table(changed, table_path)
    with pytest.raises(
        StoreError, match=r"its content does not match its digest; remove the file and"
    ):
        read_table(table_path, SCHEMA)


def test_result_digest_ignores_measured_times(tmp_path: Path) -> None:
    digests = []
    for number, changed in enumerate(
        [table(), table(second=9.0), table(name="c"), table(name=None)]
    ):
        write_table(changed, tmp_path / f"{number}.parquet", SCHEMA, {"by": "me"})
        digests.append(result_sha256(tmp_path / f"{number}.parquet"))
        assert read_metadata(tmp_path / f"{number}.parquet") == {"by": "me"}
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_no_changed_byte_changes_a_value_unnoticed(table_path: Path) -> None:
    intact, expected = table_path.read_bytes(), read_table(table_path, SCHEMA)
    detected = 0
    for position in range(0, len(intact), 7):
        content = bytearray(intact)
        content[position] ^= 0xFF
        table_path.write_bytes(bytes(content))
        try:
            actual = read_table(table_path, SCHEMA)
        except StoreError:
            detected += 1
        else:  # a byte that no value depends on, such as the writer's name
            assert actual.equals(expected), position
    assert detected > len(intact) / 14
