"""Digests of a table's content, which neither Parquet's encoding nor Arrow's layout changes."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from emoscale.runtime.provenance import digest

CONTENT, RESULT = "content_sha256", "result_sha256"
MEASURED = b"measured"
"""Mark of a column that is a time or a memory measurement: it differs from run to run."""


def with_digests(table: pa.Table, metadata: dict[str, str]) -> dict[str, str]:
    """`metadata` with two digests of the table.

    `content_sha256` is of all columns and of the metadata itself; `result_sha256` is of the columns
    that no clock and no memory meter wrote, so that equal studies give equal digests.
    """
    columns = {name: _column_digest(table.column(name)) for name in table.column_names}
    results = {name: columns[name] for name in columns if name not in measured_columns(table)}
    with_result = {**metadata, RESULT: digest(results)}
    return {**with_result, CONTENT: digest({"columns": columns, "metadata": with_result})}


def measured_columns(table: pa.Table) -> list[str]:
    """Columns of time and memory."""
    return [field.name for field in table.schema if MEASURED in (field.metadata or {})]


def digests_match(table: pa.Table, metadata: dict[str, str]) -> bool:
    """Whether the table is the one that `metadata` was with_digests with."""
    own = {name: text for name, text in metadata.items() if name not in (CONTENT, RESULT)}
    return with_digests(table, own) == metadata


def _column_digest(column: pa.ChunkedArray) -> str:
    state = hashlib.sha256()
    _feed(state, pa.concat_arrays([*column.chunks, pa.array([], column.type)]))
    return state.hexdigest()


def _feed(state: Any, array: pa.Array) -> None:
    """Add the lengths, which values are there, and the values, in that order."""
    kind = array.type
    state.update(f"{len(array)} ".encode())
    state.update(np.packbits(array.is_valid().to_numpy(zero_copy_only=False)).tobytes())
    there = array.drop_null()
    if pa.types.is_struct(kind):
        state.update(b"struct ")
        for number in range(kind.num_fields):
            state.update(f"{kind.field(number).name} ".encode())
            _feed(state, pc.struct_field(there, number))
    elif pa.types.is_list(kind):
        state.update(b"list ")
        state.update(_numbers(pc.list_value_length(there)))
        _feed(state, there.flatten())
    elif pa.types.is_string(kind):
        state.update(b"text ")
        state.update(_numbers(pc.binary_length(there)))
        state.update("".join(there.to_pylist()).encode())
    else:
        state.update(f"{kind} ".encode())
        state.update(_numbers(there))


def _numbers(array: pa.Array) -> bytes:
    numbers: bytes = np.ascontiguousarray(array.to_numpy(zero_copy_only=False)).tobytes()
    return numbers
