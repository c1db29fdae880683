"""Content digests of tables, independent of Parquet's encoding and of Arrow's memory layout."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from emoscale.runtime.provenance import digest

CONTENT, RESULT = "content_sha256", "result_sha256"
"""Metadata keys of the two digests of a table, see `add_digests`."""

MEASURED = b"measured"
"""Field metadata key of columns that hold times or memory sizes, which differ between runs."""


def add_digests(table: pa.Table, metadata: dict[str, str]) -> dict[str, str]:
    """Add two digests of a table to its metadata.

    `content_sha256` covers all columns and the metadata. `result_sha256` covers the columns that
    hold no measured time or memory size, so that equal studies have equal digests.

    Parameters
    ----------
    table : pyarrow.Table
        Table whose columns are digested.
    metadata : dict
        Metadata without digests.

    Returns
    -------
    dict
        `metadata` with the keys `content_sha256` and `result_sha256`.
    """
    columns = {name: _column_digest(table.column(name)) for name in table.column_names}
    results = {name: columns[name] for name in columns if name not in measured_columns(table)}
    with_result = {**metadata, RESULT: digest(results)}
    return {**with_result, CONTENT: digest({"columns": columns, "metadata": with_result})}


def measured_columns(table: pa.Table) -> list[str]:
    """Return the names of the columns that hold measured times or memory sizes.

    Parameters
    ----------
    table : pyarrow.Table
        Table with field metadata.

    Returns
    -------
    list of str
        Column names.
    """
    return [field.name for field in table.schema if MEASURED in (field.metadata or {})]


def digests_match(table: pa.Table, metadata: dict[str, str]) -> bool:
    """Check a table and its metadata against the digests in the metadata.

    Parameters
    ----------
    table : pyarrow.Table
        Table as read from its file.
    metadata : dict
        Metadata with the digests of `add_digests`.

    Returns
    -------
    bool
        Whether the digests match.
    """
    undigested = {name: text for name, text in metadata.items() if name not in (CONTENT, RESULT)}
    return add_digests(table, undigested) == metadata


def _column_digest(column: pa.ChunkedArray) -> str:
    state = hashlib.sha256()
    _update(state, pa.concat_arrays([*column.chunks, pa.array([], column.type)]))
    return state.hexdigest()


def _update(state: Any, array: pa.Array) -> None:
    """Add the length, the validity mask and the non-null values of an array to a digest."""
    data_type = array.type
    state.update(f"{len(array)} ".encode())
    state.update(np.packbits(array.is_valid().to_numpy(zero_copy_only=False)).tobytes())
    valid = array.drop_null()
    if pa.types.is_struct(data_type):
        state.update(b"struct ")
        for index in range(data_type.num_fields):
            state.update(f"{data_type.field(index).name} ".encode())
            _update(state, pc.struct_field(valid, index))
    elif pa.types.is_list(data_type):
        state.update(b"list ")
        state.update(_number_bytes(pc.list_value_length(valid)))
        _update(state, valid.flatten())
    elif pa.types.is_string(data_type):
        state.update(b"text ")
        state.update(_number_bytes(pc.binary_length(valid)))
        state.update(_text_bytes(valid))
    else:
        state.update(f"{data_type} ".encode())
        state.update(_number_bytes(valid))


def _text_bytes(array: pa.Array) -> memoryview:
    """Return the bytes of all strings, one after the other, without a Python object for each."""
    _, offsets, data = array.buffers()
    if data is None or not len(array):
        return memoryview(b"")
    ends = np.frombuffer(offsets, np.int32)[array.offset : array.offset + len(array) + 1]
    return memoryview(data)[ends[0] : ends[-1]]


def _number_bytes(array: pa.Array) -> bytes:
    number_bytes: bytes = np.ascontiguousarray(array.to_numpy(zero_copy_only=False)).tobytes()
    return number_bytes
