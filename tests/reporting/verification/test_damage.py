"""Damaged files are moved aside by the step that finds them, and nothing else is."""

from __future__ import annotations

import os
from pathlib import Path

import click
import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from emoscale.runtime import damage
from emoscale.runtime.command import shows_sentences
from emoscale.runtime.errors import DamagedFileError, StoreError
from emoscale.store import FeatureStore, ShardHeader, index_shards, write_shard
from emoscale.tables.schemas import described, read_metadata, read_table, result_sha256, write_table

SCHEMA = pa.schema(
    [
        described("name", pa.string(), "a name", null=True),
        described("seconds", pa.float64(), "time", measured=True),
        described("kinds", pa.list_(pa.struct([("word", pa.string())])), "words", null=True),
    ]
)


def table(second: float = 1.0, name: str | None = "a") -> pl.DataFrame:
    return pl.DataFrame(
        {"name": [name, "b"], "seconds": [second, 2.0], "kinds": [[{"word": "x"}], None]}
    )


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(damage.RESULTS, str(tmp_path / "study"))
    path = tmp_path / "study" / "tables" / "small.parquet"
    write_table(table(), path, SCHEMA)
    return path


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(bytes(content))


def read_in_a_step(path: Path) -> str:
    """The sentence that a program of the workflow ends with."""

    @click.command()
    @shows_sentences
    def program() -> None:
        read_table(path, SCHEMA)

    ended = CliRunner().invoke(program)
    assert ended.exit_code == 1
    return ended.output


@pytest.mark.parametrize("harm", ["flipped", "cut", "empty"])
def test_a_damaged_table_is_named_and_moved(written: Path, harm: str) -> None:
    if harm == "flipped":
        flip(written, 6)
    else:
        written.write_bytes(written.read_bytes()[: 100 if harm == "cut" else 0])
    said = read_in_a_step(written)
    assert str(written) in said
    assert "it was moved to small.parquet.damaged, and the next run makes it again" in said
    assert not written.exists()
    assert written.with_name("small.parquet.damaged").exists()


def test_another_damaged_file_takes_no_name_that_is_there(written: Path) -> None:
    for _ in range(2):
        write_table(table(), written, SCHEMA)
        flip(written, 6)
        read_in_a_step(written)
    names = {path.name for path in written.parent.iterdir()}
    assert names == {"small.parquet.damaged", "small.parquet.damaged2"}


def test_a_table_that_says_other_things_than_its_digest(written: Path) -> None:
    arrow = pq.read_table(written)
    changed = arrow.set_column(1, arrow.schema.field(1), pa.array([1.0, 3.0]))
    pq.write_table(changed, written)
    assert "is not what was written" in read_in_a_step(written)


def test_nothing_is_moved_outside_the_results(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flip(written, 6)
    monkeypatch.setenv(damage.RESULTS, str(tmp_path / "another"))
    assert "remove the file and run again" in read_in_a_step(written)
    monkeypatch.delenv(damage.RESULTS)
    assert "remove the file and run again" in read_in_a_step(written)
    assert written.exists()


def test_nothing_is_moved_through_a_link_out_of_the_results(written: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside.parquet"
    written.rename(outside)
    flip(outside, 6)
    written.symlink_to(outside)
    assert "remove the file and run again" in read_in_a_step(written)
    assert outside.exists()
    assert written.is_symlink()


def test_what_reads_well_a_moment_later_stays(written: Path) -> None:
    error = DamagedFileError(written, "looked odd", lambda: read_table(written, SCHEMA))
    assert "a moment later it was whole" in damage.set_aside(error)
    assert written.exists()


def test_what_the_system_cannot_read_stays(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(pq, "read_table", fails)
    assert "cannot be read (Input/output error)" in read_in_a_step(written)
    assert written.exists()


def test_a_file_that_another_step_moved(written: Path) -> None:
    flip(written, 6)
    with pytest.raises(DamagedFileError) as caught:
        read_table(written, SCHEMA)
    damage.set_aside(caught.value)
    assert "another step has moved it aside" in damage.set_aside(caught.value)


def test_a_folder_that_cannot_be_written(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flip(written, 6)

    def refuses(*_: object) -> None:
        raise OSError(30, os.strerror(30))

    monkeypatch.setattr(Path, "rename", refuses)
    said = read_in_a_step(written)
    assert "could not be moved aside (Read-only file system)" in said
    assert written.exists()


def test_without_its_shard_an_index_is_moved_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(damage.RESULTS, str(tmp_path))
    shard, index = tmp_path / "0.h5", tmp_path / "index.parquet"
    header = ShardHeader('{"kind":"mfcc"}', 2, 100.0, "code", "rows")
    write_shard(shard, header, ["u1"], [np.ones((2, 2))], "float16")
    index_shards([shard], index)
    store = FeatureStore(index)
    shard.write_bytes(shard.read_bytes()[:-8])
    with pytest.raises(DamagedFileError) as caught:
        store.load(["u1"])
    assert "0.h5.damaged" in damage.set_aside(caught.value)
    assert {path.name for path in tmp_path.iterdir()} == {"0.h5.damaged", "index.parquet.aside"}
    with pytest.raises(StoreError, match="index"):  # a shard that somebody removed
        FeatureStore(tmp_path / "index.parquet.aside").load(["u1"])


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
        flip(written, place)
        try:
            read = read_table(written, SCHEMA)
        except StoreError:
            seen += 1
        else:  # a byte that no value depends on, such as the writer's name
            assert read.equals(before), place
        written.write_bytes(whole)
    assert seen > len(whole) / 14
