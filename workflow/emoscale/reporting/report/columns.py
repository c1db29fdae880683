"""Headings, units and number formats of the columns of tables on the page."""

from __future__ import annotations

import re
from dataclasses import dataclass

import polars as pl

_PERCENT = "percent"
_POINTS = "points"
_SIGNED = "signed points"
_P_VALUE = "p"
_FACTOR = "factor"
_INTEGER = "integer"
_NUMBER = "number"
_DECIMAL = "decimal"
_DIGEST = "digest"
_TEXT = "text"

# The first pattern that matches the name of a column decides its format.
_FORMATS = [
    (r".*_sha256", _DIGEST),
    (r"p_(value|holm)", _P_VALUE),
    (r"(difference|gap|drop)(_low|_high)?", _SIGNED),
    (r"ua_(repeat|fold)_std", _POINTS),
    (r"factor(_low|_high)?", _FACTOR),
    (
        r"effect_(size|low|high)|brier|(held_out_)?loss|hours|cross_entropy|jensen_shannon"
        r"|fleiss_kappa|krippendorff_alpha",
        _DECIMAL,
    ),
    (r"(other_)?labels(_low|_high)?|training_utterances_mean", _INTEGER),
    (r"((\w+_)?ua|wa|macro_f1|ece|recall_.+|our)(_low|_high|_fold_mean|_value)?", _PERCENT),
    (
        r"fraction|weight|(held_out_)?ranks_first|chance|variance_(speakers|trainings|orders|seeds)",
        _PERCENT,
    ),
]

_TITLES = {
    "ua": "UA",
    "wa": "WA",
    "macro_f1": "macro-F1",
    "macro_f1_fold_mean": "macro-F1 fold mean",
    "ece": "ECE",
    "cross_entropy": "cross-entropy",
    "jensen_shannon": "Jensen-Shannon",
    "fleiss_kappa": "Fleiss's kappa",
    "krippendorff_alpha": "Krippendorff's alpha",
    "brier": "Brier score",
    "chance_ua": "UA by chance",
    "measured_ua": "measured UA",
    "training_utterances_mean": "labels",
    "p_value": "p",
    "p_holm": "p, Holm",
    "factor": "times fewer labels",
    "peak_memory_megabytes": "memory, MB",
    "sample_rate": "sample rate, Hz",
}
_UNITS = {_PERCENT: "%", _POINTS: "points", _SIGNED: "points", _FACTOR: "×"}


@dataclass(frozen=True)
class Column:
    """A column of a table on the page."""

    key: str
    """Its name in the table."""

    title: str
    """Its heading."""

    meaning: str
    """Its description, which is shown as a tooltip."""

    format: str
    """How its values are formatted: one of the formats of this module."""

    interval: list[str]
    """Columns of the lower and upper end of its confidence interval; empty: it has none."""

    visible: bool
    """Whether it is visible at first; the reader can show all columns."""


def table_columns(
    table: pl.DataFrame, meanings: dict[str, str], visible: list[str] | None = None
) -> list[Column]:
    """Return the columns of a table, the visible ones first.

    The ends of a confidence interval are shown next to their number, not as separate columns.

    Parameters
    ----------
    table : DataFrame
        The table.
    meanings : dict of str to str
        Description of each column.
    visible : list of str or None
        Columns that are visible at first; names that the table does not have are skipped. None:
        all columns.

    Returns
    -------
    list of Column
        The columns.
    """
    first = [name for name in visible or table.columns if name in table.columns]
    interval_ends = {end for name in table.columns for end in interval_columns(table, name)}
    names = [*first, *(name for name in table.columns if name not in first)]
    columns = []
    for name in names:
        if name in interval_ends:
            continue
        meaning = meanings.get(name, "")
        number_format = column_format(name, table.schema[name], meaning)
        columns.append(
            Column(
                name,
                column_title(name, number_format),
                meaning,
                number_format,
                interval_columns(table, name),
                visible=name in first,
            )
        )
    return columns


def column_format(name: str, dtype: pl.DataType, meaning: str = "") -> str:
    """Return the format of the values of a column.

    Parameters
    ----------
    name : str
        Name of the column.
    dtype : polars.DataType
        Type of the column.
    meaning : str
        Description of the column; `0 to 1` in it means a percentage.

    Returns
    -------
    str
        The format.

    Examples
    --------
    >>> column_format("ua_fold_mean", pl.Float64()), column_format("p_holm", pl.Float64())
    ('percent', 'p')
    >>> column_format("clipped_fraction", pl.Float64(), "of all samples, 0 to 1")
    'percent'
    >>> column_format("device", pl.String())
    'text'
    """
    if not dtype.is_numeric():
        return _DIGEST if name.endswith("_sha256") else _TEXT
    for pattern, number_format in _FORMATS:
        if re.fullmatch(pattern, name):
            return number_format
    if dtype.is_integer():
        return _INTEGER
    return _PERCENT if "0 to 1" in meaning else _NUMBER


def column_title(name: str, number_format: str) -> str:
    r"""Return the heading of a column, with its unit.

    Parameters
    ----------
    name : str
        Name of the column.
    number_format : str
        Format of its values.

    Returns
    -------
    str
        The heading.

    Examples
    --------
    >>> column_title("ua", "percent"), column_title("recall_anger", "percent")
    ('UA,\xa0%', 'recall anger,\xa0%')
    """
    title = _TITLES.get(name) or re.sub(
        r"\b(ua|wa)\b", lambda match: match[0].upper(), name.replace("_", " ")
    )
    unit = _UNITS.get(number_format)
    if name == "seconds" or name.endswith("_seconds"):
        return title.replace("seconds", "time").strip() + ",\u00a0s"
    return f"{title},\u00a0{unit}" if unit else title


def interval_columns(table: pl.DataFrame, name: str) -> list[str]:
    """Return the columns of a confidence interval, such as `ua_low` and `ua_high` of `ua`.

    Parameters
    ----------
    table : DataFrame
        The table.
    name : str
        Name of the column that the interval belongs to.

    Returns
    -------
    list of str
        The columns of the lower and the upper end; empty if the table does not have both.

    Examples
    --------
    >>> table = pl.DataFrame(schema=["effect_size", "effect_low", "effect_high"])
    >>> interval_columns(table, "effect_size")
    ['effect_low', 'effect_high']
    """
    for base in (name, re.sub(r"_(value|size)$", "", name)):
        ends = [f"{base}_low", f"{base}_high"]
        if all(end in table.columns for end in ends):
            return ends
    return []
