"""What a table was made from and by what, as metadata of its Parquet file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

from emoscale.runtime.provenance import canonical_json, code_digest, file_sha256, package_versions
from emoscale.tables.schemas import result_sha256

MADE_FROM, CODE, VERSIONS = "made_from", "code_sha256", "versions"
_PACKAGES = ("numpy", "polars", "pyarrow")


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
