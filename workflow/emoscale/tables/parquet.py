"""Parquet tables, checked against their schema and their digests when written and read."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from emoscale.runtime.errors import DamagedFileError, StoreError, error_summary
from emoscale.runtime.files import atomic_path
from emoscale.runtime.provenance import (
    canonical_json,
    code_digest,
    digest,
    file_sha256,
    package_versions,
)
from emoscale.tables.digests import CONTENT, RESULT, add_digests, digests_match
from emoscale.tables.schemas import TEXTS, UTTERANCES, fold_schema

SOURCE_DIGESTS, CODE, VERSIONS = "made_from", "code_sha256", "versions"
"""Metadata keys of a table's provenance, see `table_provenance`."""

_PACKAGES = ("numpy", "polars", "pyarrow")


def read_fold(path: Path | str) -> pl.DataFrame:
    """Read a fold with any number of repeats.

    Parameters
    ----------
    path : Path or str
        Parquet file of the fold.

    Returns
    -------
    DataFrame
        Columns of `fold_schema`.

    Raises
    ------
    StoreError
        If the file is missing, damaged or not a fold.
    """
    names = _read_schema(path).names
    repeats = sum(name.startswith("rank_") for name in names)
    return read_table(path, fold_schema(repeats, shuffled="training_label_0" in names))


def read_utterances(path: Path | str, texts: Path | str | None = None) -> pl.DataFrame:
    """Read the utterance table with the columns of the transcripts.

    Parameters
    ----------
    path : Path or str
        Table of schema `UTTERANCES`.
    texts : Path or str or None
        Table of schema `TEXTS`; None: the columns of the transcripts are null.

    Returns
    -------
    DataFrame
        Columns of `UTTERANCES` and `TEXTS`, one row per utterance.

    Raises
    ------
    StoreError
        If a table is missing or damaged.
    """
    transcripts = dataframe_of([], TEXTS) if texts is None else read_table(texts, TEXTS)
    utterances = read_table(path, UTTERANCES)
    return utterances.join(transcripts, on="utterance", how="left", maintain_order="left")


def write_table(
    table: pl.DataFrame,
    path: Path | str,
    schema: pa.Schema,
    metadata: dict[str, str] | None = None,
) -> None:
    """Write a table as Parquet with exactly the columns and types of a schema, atomically.

    Parameters
    ----------
    table : DataFrame
        Table with the columns of `schema` in any order.
    path : Path or str
        File to write.
    schema : pyarrow.Schema
        Names, types and nullability of the columns.
    metadata : dict or None
        Metadata stored in the file together with digests of the content; see `read_metadata`.

    Raises
    ------
    StoreError
        If a column is missing, unknown, of another type, or null where null is not allowed.
    """
    arrow = _to_arrow(table, path, schema)
    arrow = arrow.replace_schema_metadata(add_digests(arrow, metadata or {}))
    with atomic_path(path) as temporary:
        pq.write_table(arrow, temporary, compression="zstd", write_page_checksum=True)


def write_parts(
    parts: Iterable[pl.DataFrame],
    path: Path | str,
    schema: pa.Schema,
    metadata: dict[str, str] | None = None,
) -> None:
    """Write a table that need not fit into memory, one row group per part, atomically.

    The file has a checksum per page and a digest of its results, but none of its content as a
    whole.

    Parameters
    ----------
    parts : iterable of DataFrame
        Parts with the columns of `schema` in any order.
    path : Path or str
        File to write.
    schema : pyarrow.Schema
        Names, types and nullability of the columns.
    metadata : dict or None
        Metadata stored in the file; see `read_metadata`.

    Raises
    ------
    StoreError
        If a part does not match the schema.
    """
    digests = []
    with (
        atomic_path(path) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd", write_page_checksum=True) as writer,
    ):
        for part in parts:
            arrow = _to_arrow(part, path, schema)
            digests.append(add_digests(arrow, {})[RESULT])
            writer.write_table(arrow, row_group_size=max(len(arrow), 1))
        writer.add_key_value_metadata({**(metadata or {}), RESULT: digest(digests)})


def read_parts(path: Path | str, schema: pa.Schema) -> Iterator[pl.DataFrame]:
    """Read a table part by part (`write_parts`).

    Parameters
    ----------
    path : Path or str
        File written by `write_parts`.
    schema : pyarrow.Schema
        Expected schema.

    Yields
    ------
    DataFrame
        Columns of `schema`.

    Raises
    ------
    StoreError
        If the file is missing, damaged or of another schema.
    """
    with _convert_read_errors(path), pq.ParquetFile(path, page_checksum_verification=True) as file:
        for number in range(file.num_row_groups):
            yield _to_polars(_cast(file.read_row_group(number), path, schema))


def read_table(path: Path | str, schema: pa.Schema) -> pl.DataFrame:
    """Read a table of a known schema.

    Parameters
    ----------
    path : Path or str
        File written by `write_table`.
    schema : pyarrow.Schema
        Expected schema.

    Returns
    -------
    DataFrame
        Columns of `schema`.

    Raises
    ------
    StoreError
        If the file is missing, damaged or of another schema.
    """
    return _to_polars(_cast(read_arrow(path), path, schema))


def read_any_table(path: Path | str) -> pl.DataFrame:
    """Read a table whose columns depend on the study.

    Parameters
    ----------
    path : Path or str
        File written by `write_table`.

    Returns
    -------
    DataFrame
        All columns of the file.

    Raises
    ------
    StoreError
        If the file is missing or damaged.
    """
    return _to_polars(read_arrow(path))


def read_arrow(path: Path | str) -> pa.Table:
    """Read a Parquet file as an Arrow table, and check its digests if it has any.

    Parameters
    ----------
    path : Path or str
        Parquet file.

    Returns
    -------
    pyarrow.Table
        All columns of the file, with field metadata.

    Raises
    ------
    StoreError
        If the file is missing or damaged.
    """
    with _convert_read_errors(path):
        # A single file; without partitioning=None, folder names could become columns.
        arrow = pq.read_table(path, page_checksum_verification=True, partitioning=None)
        metadata = _decode_metadata(arrow.schema.metadata)
        intact = CONTENT not in metadata or digests_match(arrow, metadata)
    if not intact:
        raise DamagedFileError(path, "its content does not match its digest")
    return arrow


def read_metadata(path: Path | str) -> dict[str, str]:
    """Read the metadata passed to `write_table`, without the digests.

    Parameters
    ----------
    path : Path or str
        File written by `write_table`.

    Returns
    -------
    dict
        Metadata by key.

    Raises
    ------
    StoreError
        If the file is missing or damaged.
    """
    metadata = _read_metadata(path)
    return {key: value for key, value in metadata.items() if key not in (CONTENT, RESULT)}


def result_sha256(path: Path | str) -> str:
    """Read the digest of a table's results, without measured times and memory sizes.

    Parameters
    ----------
    path : Path or str
        File written by `write_table`.

    Returns
    -------
    str
        sha256, hexadecimal.

    Raises
    ------
    StoreError
        If the file is missing or damaged, or has no digest.
    """
    sha256 = _read_metadata(path).get(RESULT)
    if sha256 is None:
        raise StoreError(f"{path}: has no digest of its content; remove the file and run again")
    return sha256


def _read_metadata(path: Path | str) -> dict[str, str]:
    with _convert_read_errors(path):
        return _decode_metadata(pq.read_metadata(path).metadata)


def _decode_metadata(raw: Mapping[bytes, bytes] | None) -> dict[str, str]:
    raw = raw or {}
    return {key.decode(): value.decode() for key, value in raw.items() if key != b"ARROW:schema"}


def _read_schema(path: Path | str) -> pa.Schema:
    with _convert_read_errors(path):
        return pq.read_schema(path)


def _to_arrow(table: pl.DataFrame, path: Path | str, schema: pa.Schema) -> pa.Table:
    """Convert a table to the columns and types of a schema."""
    unknown = [name for name in table.columns if name not in schema.names]
    missing = [name for name in schema.names if name not in table.columns]
    if unknown or missing:
        raise StoreError(f"{path}: columns missing: {missing}, columns unknown: {unknown}")
    try:
        return table.select(schema.names).to_arrow().cast(schema)
    except (pa.ArrowException, ValueError) as error:
        raise StoreError(f"{path}: does not match its schema: {error_summary(error)}") from None


def _cast(arrow: pa.Table, path: Path | str, schema: pa.Schema) -> pa.Table:
    """Check that a table that was read has a schema."""
    try:
        return arrow.cast(schema)
    except (pa.ArrowException, ValueError) as error:
        raise StoreError(
            f"{path}: does not have the schema expected of this table: {error_summary(error)}"
        ) from None


def _to_polars(arrow: pa.Table) -> pl.DataFrame:
    table = pl.from_arrow(arrow)
    assert isinstance(table, pl.DataFrame)
    return table


@contextlib.contextmanager
def _convert_read_errors(path: Path | str) -> Iterator[None]:
    """Convert the errors of reading a Parquet file to `StoreError`.

    The error is a `DamagedFileError` unless the operating system reports why reading failed.
    """
    try:
        yield
    except FileNotFoundError:
        raise StoreError(f"{path} does not exist; run the step that creates it") from None
    except (OSError, pa.ArrowException, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise StoreError(
                f"{path} cannot be read ({error.strerror}); resolve this and run again"
            ) from None
        detail = f"cannot be read as Parquet ({error_summary(error)})"
        raise DamagedFileError(path, detail) from None


def dataframe_of(rows: list[dict[str, object]], schema: pa.Schema) -> pl.DataFrame:
    """Create a data frame from rows.

    Parameters
    ----------
    rows : list of dict
        Values by column; a column that a row lacks is null.
    schema : pyarrow.Schema
        Names and types of the columns.

    Returns
    -------
    DataFrame
        Columns of `schema`, one row per entry of `rows`.
    """
    return _to_polars(pa.Table.from_pylist(rows, schema=schema))


def write_csv(table: pl.DataFrame, path: Path | str) -> None:
    """Write a table as CSV with six decimals; nested values become JSON.

    Parameters
    ----------
    table : DataFrame
        Table to write.
    path : Path or str
        File to write.
    """
    nested = [name for name, data_type in table.schema.items() if data_type.is_nested()]
    flat = table.with_columns(
        pl.Series(name, [json.dumps(value) for value in table[name].to_list()], dtype=pl.String)
        for name in nested
    )
    with atomic_path(path) as temporary:
        flat.write_csv(temporary, float_precision=6)


def table_provenance(folder: Path, program: Path | str, sources: Iterable[Path]) -> dict[str, str]:
    """Return the metadata that records how a table was computed.

    Parameters
    ----------
    folder : Path
        Folder of the table.
    program : Path or str
        Script that computes the table.
    sources : iterable of Path
        Files that the table is computed from.

    Returns
    -------
    dict
        `made_from`: digest of each source by its path relative to `folder`, as JSON;
        `code_sha256`: digest of the script and of the modules that it imports; `versions`:
        versions of the packages, as JSON.

    Raises
    ------
    StoreError
        If a source is missing or damaged.
    """
    source_digests = {os.path.relpath(path, folder): source_sha256(path) for path in sources}
    return {
        SOURCE_DIGESTS: canonical_json(source_digests),
        CODE: code_digest(Path(program)),
        VERSIONS: json.dumps(package_versions(_PACKAGES), sort_keys=True),
    }


def source_sha256(path: Path) -> str:
    """Return the digest of a source file.

    Parameters
    ----------
    path : Path
        Parquet table or any other file.

    Returns
    -------
    str
        `result_sha256` of a Parquet table, otherwise the sha256 of the file's bytes.

    Raises
    ------
    StoreError
        If a Parquet table is missing or damaged.
    """
    return result_sha256(path) if path.suffix == ".parquet" else file_sha256(path)
