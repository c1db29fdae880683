"""Parquet tables: checked against their schema and their digests when they are written and read."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from emoscale.runtime.errors import DamagedFileError, StoreError, reason_of
from emoscale.runtime.files import atomic_path
from emoscale.runtime.provenance import canonical_json, code_digest, file_sha256, package_versions
from emoscale.tables.digests import CONTENT, RESULT, digests_match, with_digests
from emoscale.tables.schemas import TEXTS, UTTERANCES, protocol_schema

MADE_FROM, CODE, VERSIONS = "made_from", "code_sha256", "versions"
_PACKAGES = ("numpy", "polars", "pyarrow")


def read_fold(path: Path | str) -> pl.DataFrame:
    """Read a fold, of any number of repeats."""
    names = _read_schema(path).names
    repeats = sum(name.startswith("rank_") for name in names)
    return read_table(path, protocol_schema(repeats, shuffled="training_label_0" in names))


def read_utterances(path: Path | str, texts: Path | str | None = None) -> pl.DataFrame:
    """The utterance table with the columns of its texts, which are null without `texts`."""
    said = dataframe_of([], TEXTS) if texts is None else read_table(texts, TEXTS)
    own = read_table(path, UTTERANCES)
    return own.join(said, on="utterance", how="left", maintain_order="left")


def write_table(
    table: pl.DataFrame,
    path: Path | str,
    schema: pa.Schema,
    metadata: dict[str, str] | None = None,
) -> None:
    """Write `table` as Parquet with exactly the columns and types of `schema`, atomically.

    Raises `StoreError` when a column is missing, unknown, of another type, or null where it must
    not be. `metadata` is kept in the file (see `read_metadata`), with digests of the content.
    """
    unknown = [name for name in table.columns if name not in schema.names]
    missing = [name for name in schema.names if name not in table.columns]
    if unknown or missing:
        raise StoreError(f"{path}: columns missing: {missing}, columns unknown: {unknown}")
    try:
        arrow = table.select(schema.names).to_arrow().cast(schema)
    except (pa.ArrowException, ValueError) as error:
        raise StoreError(f"{path}: does not fit its schema: {reason_of(error)}") from None
    arrow = arrow.replace_schema_metadata(with_digests(arrow, metadata or {}))
    with atomic_path(path) as temporary:
        pq.write_table(arrow, temporary, compression="zstd", write_page_checksum=True)


def read_table(path: Path | str, schema: pa.Schema) -> pl.DataFrame:
    """Read a table of `write_table`; raises `StoreError` when it is damaged or another's."""
    arrow = read_arrow(path)
    try:
        arrow = arrow.cast(schema)
    except (pa.ArrowException, ValueError) as error:
        raise StoreError(f"{path}: is not the table expected here: {reason_of(error)}") from None
    frame = pl.from_arrow(arrow)
    assert isinstance(frame, pl.DataFrame)
    return frame


def read_any_table(path: Path | str) -> pl.DataFrame:
    """Read a table whose columns depend on the study; raises `StoreError` when it is damaged."""
    frame = pl.from_arrow(read_arrow(path))
    assert isinstance(frame, pl.DataFrame)
    return frame


def read_arrow(path: Path | str) -> pa.Table:
    """The table as it lies in the file, compared with its digest where it has one.

    Raises `StoreError` where it is missing or damaged.
    """
    with _readable(path):
        # One file, and the columns that it holds itself: none from the names of its folders.
        arrow = pq.read_table(path, page_checksum_verification=True, partitioning=None)
        metadata = _texts(arrow.schema)
        whole = CONTENT not in metadata or digests_match(arrow, metadata)
    if not whole:
        raise DamagedFileError(path, "is not what was written")
    return arrow


def read_metadata(path: Path | str) -> dict[str, str]:
    """The metadata that `write_table` was given."""
    return {k: v for k, v in _metadata(path).items() if k not in (CONTENT, RESULT)}


def result_sha256(path: Path | str) -> str:
    """Digest of what a table says, without what was measured of time and memory.

    Raises `StoreError` where the table has none.
    """
    found = _metadata(path).get(RESULT)
    if found is None:
        raise StoreError(f"{path}: has no digest of its content; remove the file and run again")
    return found


def _metadata(path: Path | str) -> dict[str, str]:
    with _readable(path):
        return _texts(pq.read_schema(path))


def _texts(schema: pa.Schema) -> dict[str, str]:
    raw = schema.metadata or {}
    return {key.decode(): value.decode() for key, value in raw.items() if key != b"ARROW:schema"}


def _read_schema(path: Path | str) -> pa.Schema:
    with _readable(path):
        return pq.read_schema(path)


@contextlib.contextmanager
def _readable(path: Path | str) -> Iterator[None]:
    """Whatever makes a Parquet file unreadable becomes a `StoreError`.

    It is a `DamagedFileError` unless the system says why the file cannot be read.
    """
    try:
        yield
    except FileNotFoundError:
        raise StoreError(f"{path} does not exist; run the step that makes it") from None
    except (OSError, pa.ArrowException, ValueError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise StoreError(
                f"{path} cannot be read ({error.strerror}); mend that and run again"
            ) from None
        detail = f"cannot be read as Parquet ({reason_of(error)})"
        raise DamagedFileError(path, detail) from None


def dataframe_of(rows: list[dict[str, object]], schema: pa.Schema) -> pl.DataFrame:
    """A data frame with the columns and types of `schema` from a list of rows."""
    arrow = pa.Table.from_pylist(rows, schema=schema)
    frame = pl.from_arrow(arrow)
    assert isinstance(frame, pl.DataFrame)
    return frame


def write_csv(table: pl.DataFrame, path: Path | str) -> None:
    """Write a table for reading by people and spreadsheets; nested values become JSON."""
    nested = [name for name, kind in table.schema.items() if kind.is_nested()]
    flat = table.with_columns(
        pl.Series(name, [json.dumps(value) for value in table[name].to_list()], dtype=pl.String)
        for name in nested
    )
    with atomic_path(path) as temporary:
        flat.write_csv(temporary, float_precision=6)


def table_origin(folder: Path, program: Path | str, sources: Iterable[Path]) -> dict[str, str]:
    """Metadata for `write_table` of a table in `folder` that `program` made from `sources`.

    `made_from` is the digest of each source by its path from `folder`; `code_sha256` is that of the
    program with the library's modules; `versions` are the packages'. Raises `StoreError` where a
    source is damaged.
    """
    made_from = {os.path.relpath(path, folder): source_sha256(path) for path in sources}
    return {
        MADE_FROM: canonical_json(made_from),
        CODE: code_digest(Path(program)),
        VERSIONS: json.dumps(package_versions(_PACKAGES), sort_keys=True),
    }


def source_sha256(path: Path) -> str:
    """Digest of a source: of a table what it says (without measured times), else its bytes."""
    return result_sha256(path) if path.suffix == ".parquet" else file_sha256(path)
