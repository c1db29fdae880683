"""Folds that a table gives, as publications and challenges hand them out."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import polars as pl

from emoscale.config.protocol import ProtocolSettings
from emoscale.protocol.development import roles_by_unit
from emoscale.runtime.errors import ProtocolError

_ROLES = {
    "train": "train",
    "training": "train",
    "dev": "dev",
    "development": "dev",
    "val": "dev",
    "valid": "dev",
    "validation": "dev",
    "test": "test",
}
_ONLY = "1"


def read_fold_file(path: Path | str) -> pl.DataFrame:
    """A table of folds: columns utterance, fold, and role (train, dev or test; null: none given).

    The file has the columns `utterance` and `fold` (a fold tests its utterances), or `role` too,
    or instead (one fold). Raises `ProtocolError` with the line where it is anything else, or an
    utterance stands in a fold twice (without roles: in the file).
    """
    path = Path(path)
    rows = csv.reader(
        io.StringIO(_text(path), newline=""),
        delimiter="\t" if path.suffix.lower() == ".tsv" else ",",
        strict=True,
    )
    places: dict[tuple[str, str], int] = {}
    found: list[tuple[str, str, str | None]] = []
    try:
        header = [cell.strip() for cell in next(rows, [])]
        if "utterance" not in header or not {"fold", "role"} & set(header):
            raise ProtocolError(
                f"{path}: its first line must name the columns utterance, and fold or role or both "
                f"(there: {', '.join(header) or 'nothing'})"
            )
        for cells in rows:
            if not any(cell.strip() for cell in cells):
                continue
            utterance, fold, role = _row(dict(zip(header, cells, strict=False)), header, path, rows)
            key = (utterance, fold if role else "")
            if key in places:
                raise ProtocolError(
                    f"{path}, line {rows.line_num}: {utterance} stands in line {places[key]} "
                    "already; keep one"
                )
            places[key] = rows.line_num
            found.append((utterance, fold, role))
    except csv.Error as error:
        raise ProtocolError(
            f"{path}, line {rows.line_num}: {error}; look for a quote that is not closed"
        ) from None
    schema = {"utterance": pl.String, "fold": pl.String, "role": pl.String}
    return pl.DataFrame(found, schema=schema, orient="row")


def given_roles(
    labelled: pl.DataFrame, corpus: pl.Series, settings: ProtocolSettings
) -> list[pl.Series]:
    """Each fold's roles, in the order of `labelled`, as `protocol.fold_file` gives them.

    Null where the file does not list an utterance, as may be with `ignore_unmatched`. `corpus`
    are the keys of all utterances, those outside the study too. Raises `ProtocolError` where file
    and corpus differ otherwise, or the file does not give what the settings ask for.
    """
    path = str(settings.fold_file)
    table = read_fold_file(path)
    folds = _in_order(table["fold"])
    if len(folds) != settings.folds:
        raise ProtocolError(
            f"{path} has {len(folds)} folds ({', '.join(folds[:10])}) and protocol.folds is "
            f"{settings.folds}; make it {len(folds)}"
        )
    _check_development(table, settings, path)
    if not settings.ignore_unmatched:
        _check_matches(table, folds, labelled["utterance"], corpus, path)
    keys = labelled.select("utterance")
    if table["role"].null_count():
        numbers = pl.col("fold").replace_strict(
            {name: number for number, name in enumerate(folds)}, return_dtype=pl.Int64
        )
        units = keys.join(
            table.with_columns(unit=numbers), on="utterance", how="left", maintain_order="left"
        )["unit"]
        every = list(range(len(folds)))
        return roles_by_unit(units, len(folds), every, settings.development, "folds")
    return [
        keys.join(
            table.filter(pl.col("fold") == name),
            on="utterance",
            how="left",
            maintain_order="left",
        )["role"]
        for name in folds
    ]


def unknown_utterances(corpus: pl.Series, settings: ProtocolSettings) -> int:
    """How many utterances `protocol.fold_file` lists that the corpus does not have."""
    if settings.fold_file is None:
        return 0
    listed = read_fold_file(settings.fold_file)["utterance"].unique()
    return len(listed) - int(listed.is_in(corpus.implode()).sum())


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ProtocolError(f"{path} does not exist; set protocol.fold_file") from None
    except UnicodeDecodeError as error:
        raise ProtocolError(
            f"{path}: byte {error.start} is not UTF-8; save the table as UTF-8"
        ) from None
    except OSError as error:
        raise ProtocolError(
            f"{path} cannot be read: {error.strerror}; set protocol.fold_file"
        ) from None


def _row(
    row: dict[str, str], header: list[str], path: Path, rows: Any
) -> tuple[str, str, str | None]:
    values = {name: row.get(name, "").strip() for name in ("utterance", "fold", "role")}
    for name in values:
        if name in header and not values[name]:
            raise ProtocolError(f"{path}, line {rows.line_num}: the row has no {name}; fill it in")
    if "role" not in header:
        return values["utterance"], values["fold"], None
    role = _ROLES.get(values["role"].lower())
    if role is None:
        raise ProtocolError(
            f"{path}, line {rows.line_num}: the role {values['role']} is not known; write train, "
            "dev or test"
        )
    return values["utterance"], values["fold"] or _ONLY, role


def _in_order(names: pl.Series) -> list[str]:
    """Folds by number where all are numbers, else by name."""
    folds = sorted(names.unique())
    numbers = all(name.isdecimal() and len(name) < 10 for name in folds)
    return sorted(folds, key=int) if numbers else folds


def _check_development(table: pl.DataFrame, settings: ProtocolSettings, path: str) -> None:
    chosen = bool((table["role"] == "dev").any())
    if chosen and settings.development != "file":
        raise ProtocolError(
            f"{path} has the role dev and protocol.development is {settings.development}; make it "
            "file"
        )
    if settings.development == "file" and not chosen:
        raise ProtocolError(
            f"{path} has no role dev and protocol.development is file; use speakers, random or none"
        )
    if settings.development == "unit" and not table["role"].null_count():
        raise ProtocolError(
            f"{path} has roles, so there is no next fold for protocol.development: unit; use "
            "speakers, random or none"
        )


def _check_matches(
    table: pl.DataFrame, folds: list[str], labelled: pl.Series, corpus: pl.Series, path: str
) -> None:
    way_out = "mend it, or set protocol.ignore_unmatched: true"
    listed = table["utterance"].unique(maintain_order=True)
    unknown = listed.filter(~listed.is_in(corpus.implode()))
    if len(unknown):
        raise ProtocolError(
            f"{path}: {len(unknown)} of its {len(listed)} utterances are none of the corpus (the "
            f"first: {unknown[0]}; the corpus has names such as {corpus[0]}); {way_out}"
        )
    for name in folds:
        own = table if table["role"].null_count() else table.filter(pl.col("fold") == name)
        missing = labelled.filter(~labelled.is_in(own["utterance"].implode()))
        if len(missing):
            raise ProtocolError(
                f"{path}: fold {name} does not list {len(missing)} of {len(labelled)} utterances "
                f"of the study (the first: {missing[0]}); {way_out}"
            )
