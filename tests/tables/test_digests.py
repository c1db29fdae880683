"""A table's digests find every changed value, and leave out what clocks measured."""

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
        schema_field("kinds", pa.list_(pa.struct([("word", pa.string())])), "words", null=True),
    ]
)


def table(second: float = 1.0, name: str | None = "a") -> pl.DataFrame:
    return pl.DataFrame(
        {"name": [name, "b"], "seconds": [second, 2.0], "kinds": [[{"word": "x"}], None]}
    )


@pytest.fixture
def written(tmp_path: Path) -> Path:
    write_table(table(), tmp_path / "small.parquet", SCHEMA)
    return tmp_path / "small.parquet"


def test_a_table_that_says_other_things_than_its_digest(written: Path) -> None:
    arrow = pq.read_table(written)
    changed = arrow.set_column(1, arrow.schema.field(1), pa.array([1.0, 3.0]))
    pq.write_table(changed, written)
    with pytest.raises(StoreError, match=r"is not what was written; remove the file and run again"):
        read_table(written, SCHEMA)


def test_what_a_table_says_does_not_depend_on_the_clock(tmp_path: Path) -> None:
    digests = []
    for number, frame in enumerate([table(), table(second=9.0), table(name="c"), table(name=None)]):
        write_table(frame, tmp_path / f"{number}.parquet", SCHEMA, {"by": "me"})
        digests.append(result_sha256(tmp_path / f"{number}.parquet"))
        assert read_metadata(tmp_path / f"{number}.parquet") == {"by": "me"}
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_no_changed_byte_changes_a_value_unseen(written: Path) -> None:
    whole, before = written.read_bytes(), read_table(written, SCHEMA)
    seen = 0
    for place in range(0, len(whole), 7):
        content = bytearray(whole)
        content[place] ^= 0xFF
        written.write_bytes(bytes(content))
        try:
            read = read_table(written, SCHEMA)
        except StoreError:
            seen += 1
        else:  # a byte that no value depends on, such as the writer's name
            assert read.equals(before), place
    assert seen > len(whole) / 14
