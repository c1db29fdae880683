"""Folds from a table of utterances, as publications and challenges distribute them."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from emoscale.config.protocol import ProtocolSettings
from emoscale.protocol.development import roles_by_unit
from emoscale.runtime.errors import ProtocolError
from emoscale.runtime.text_table import read_table

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
_SINGLE_FOLD = "1"


def read_fold_file(path: Path | str) -> pl.DataFrame:
    """Read a table of folds.

    The file has the columns `utterance` and `fold` (each fold tests its utterances), or
    `utterance`, `fold` and `role`, or `utterance` and `role` (a single fold).

    Parameters
    ----------
    path : Path or str
        The file.

    Returns
    -------
    DataFrame
        Columns `utterance`, `fold` and `role` (train, dev or test; null if the file has no roles).

    Raises
    ------
    ProtocolError
        If the file has another format, or lists an utterance twice in a fold (without roles: twice
        in the file); the message names the line.
    CorpusError
        If the file cannot be read, or a quote is not closed.
    """
    path = Path(path)
    table = read_table(path, "set protocol.fold_file")
    if "utterance" not in table.header or not {"fold", "role"} & {*table.header}:
        raise ProtocolError(
            f"{path}: its first line must name the columns utterance, and fold or role or both "
            f"(actual columns: {', '.join(table.header) or 'none'})"
        )
    line_of: dict[tuple[str, str], int] = {}
    rows: list[tuple[str, str, str | None]] = []
    for line, cells in table.rows:
        values = dict(zip(table.header, cells, strict=False))
        utterance, fold, role = _parse_row(values, table.header, f"{path}, line {line}")
        key = (utterance, fold if role else "")
        if key in line_of:
            raise ProtocolError(
                f"{path}, line {line}: {utterance} is already listed in line {line_of[key]}; "
                "remove one of the two"
            )
        line_of[key] = line
        rows.append((utterance, fold, role))
    schema = {"utterance": pl.String, "fold": pl.String, "role": pl.String}
    return pl.DataFrame(rows, schema=schema, orient="row")


def roles_from_file(
    labelled: pl.DataFrame, corpus: pl.Series, settings: ProtocolSettings
) -> list[pl.Series]:
    """Return the roles that `protocol.fold_file` assigns in each fold.

    Parameters
    ----------
    labelled : DataFrame
        The utterances of the study.
    corpus : Series
        Keys of all utterances of the corpus, also those outside the study.
    settings : ProtocolSettings
        The protocol of the study, with `fold_file`.

    Returns
    -------
    list of Series
        Role of each row of `labelled`, one series per fold; null if the file does not list the
        utterance, which `ignore_unmatched` allows.

    Raises
    ------
    ProtocolError
        If the file does not match the corpus or the settings.
    """
    path = str(settings.fold_file)
    table = read_fold_file(path)
    folds = _sorted_folds(table["fold"])
    if len(folds) != settings.folds:
        raise ProtocolError(
            f"{path} has {len(folds)} folds ({', '.join(folds[:10])}) and protocol.folds is "
            f"{settings.folds}; set it to {len(folds)}"
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
        tested = list(range(len(folds)))
        return roles_by_unit(units, len(folds), tested, settings.development, "folds")
    return [
        keys.join(
            table.filter(pl.col("fold") == name),
            on="utterance",
            how="left",
            maintain_order="left",
        )["role"]
        for name in folds
    ]


def count_unknown_utterances(corpus: pl.Series, settings: ProtocolSettings) -> int:
    """Count the utterances that `protocol.fold_file` lists and the corpus does not have.

    Parameters
    ----------
    corpus : Series
        Keys of all utterances of the corpus.
    settings : ProtocolSettings
        The protocol of the study.

    Returns
    -------
    int
        0 if the protocol has no fold file.
    """
    if settings.fold_file is None:
        return 0
    listed = read_fold_file(settings.fold_file)["utterance"].unique()
    return len(listed) - int(listed.is_in(corpus.implode()).sum())


def _parse_row(
    row: dict[str, str], header: list[str], location: str
) -> tuple[str, str, str | None]:
    """Utterance, fold and role of a row."""
    values = {name: row.get(name, "") for name in ("utterance", "fold", "role")}
    for name in values:
        if name in header and not values[name]:
            raise ProtocolError(f"{location}: the row has no {name}; fill it in")
    if "role" not in header:
        return values["utterance"], values["fold"], None
    role = _ROLES.get(values["role"].lower())
    if role is None:
        raise ProtocolError(f"{location}: unknown role {values['role']}; use train, dev or test")
    return values["utterance"], values["fold"] or _SINGLE_FOLD, role


def _sorted_folds(names: pl.Series) -> list[str]:
    """Names of the folds, sorted numerically if all are numbers, else alphabetically."""
    folds = sorted(names.unique())
    numbers = all(name.isdecimal() and len(name) < 10 for name in folds)
    return sorted(folds, key=int) if numbers else folds


def _check_development(table: pl.DataFrame, settings: ProtocolSettings, path: str) -> None:
    has_development = bool((table["role"] == "dev").any())
    if has_development and settings.development != "file":
        raise ProtocolError(
            f"{path} has the role dev and protocol.development is {settings.development}; set it "
            "to file"
        )
    if settings.development == "file" and not has_development:
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
    remedy = "correct it, or set protocol.ignore_unmatched: true"
    listed = table["utterance"].unique(maintain_order=True)
    unknown = listed.filter(~listed.is_in(corpus.implode()))
    if len(unknown):
        raise ProtocolError(
            f"{path}: {len(unknown)} of its {len(listed)} utterances are not in the corpus (the "
            f"first: {unknown[0]}; an example of the corpus's keys: {corpus[0]}); {remedy}"
        )
    for name in folds:
        of_fold = table if table["role"].null_count() else table.filter(pl.col("fold") == name)
        missing = labelled.filter(~labelled.is_in(of_fold["utterance"].implode()))
        if len(missing):
            raise ProtocolError(
                f"{path}: fold {name} does not list {len(missing)} of {len(labelled)} utterances "
                f"of the study (the first: {missing[0]}); {remedy}"
            )
