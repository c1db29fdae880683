"""How a column of a study's tables is written for people: its heading, unit and number format."""

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

# What decides is the name; the first pattern that fits.
_FORMS = [
    (r".*_sha256", _DIGEST),
    (r"p_(value|holm|permutation|mcnemar)", _P_VALUE),
    (r"(difference|gap|drop)(_low|_high)?", _SIGNED),
    (r".*_deviation", _POINTS),
    (r"factor(_low|_high)?", _FACTOR),
    (r"effect_(size|low|high)|brier", _DECIMAL),
    (r"(other_)?labels(_low|_high)?|training_utterances_mean", _INTEGER),
    (r"((\w+_)?ua|wa|macro_f1|ece|recall_.+|share|our)(_low|_high|_fold_mean|_value)?", _PERCENT),
    (r"(best_)?development_ua|variance_.+_share|variance_share_.+", _PERCENT),
]

_TITLES = {
    "ua": "UA",
    "wa": "WA",
    "macro_f1": "macro-F1",
    "ece": "ECE",
    "brier": "Brier score",
    "chance_ua": "UA by chance",
    "training_utterances_mean": "labels",
    "p_value": "p",
    "p_holm": "p, Holm",
    "p_permutation": "p, permutation",
    "p_mcnemar": "p, McNemar",
    "factor": "times fewer labels",
    "peak_memory_megabytes": "memory, MB",
    "sample_rate": "sample rate, Hz",
}
_UNITS = {_PERCENT: "%", _POINTS: "points", _SIGNED: "points", _FACTOR: "×"}


@dataclass(frozen=True)
class Column:
    """A column of a table on the page."""

    key: str
    title: str
    meaning: str
    form: str
    ends: list[str]
    """The columns of its interval's ends, which stand behind the number; or none."""

    shown: bool
    """Whether it is there at first; the rest are a click away."""


def columns_of(
    frame: pl.DataFrame, meanings: dict[str, str], shown: list[str] | None = None
) -> list[Column]:
    """The columns of a table in its order, those of `shown` first and at first alone.

    An interval's ends stand behind their number instead of in columns of their own. A name in
    `shown` that the table does not have is passed over: tables grow with what a study measures.
    """
    first = [name for name in shown or frame.columns if name in frame.columns]
    ends = {end for name in frame.columns for end in ends_of(frame, name)}
    names = [*first, *(name for name in frame.columns if name not in first)]
    return [
        Column(
            name,
            title_of(name, form_of(name, frame.schema[name], meanings.get(name, ""))),
            meanings.get(name, ""),
            form_of(name, frame.schema[name], meanings.get(name, "")),
            ends_of(frame, name),
            shown=name in first,
        )
        for name in names
        if name not in ends
    ]


def form_of(name: str, kind: pl.DataType, meaning: str = "") -> str:
    """How the values of a column are written.

    >>> form_of("ua_fold_mean", pl.Float64()), form_of("p_holm", pl.Float64())
    ('percent', 'p')
    >>> form_of("covered", pl.Float64(), "share of them, 0 to 1"), form_of("device", pl.String())
    ('percent', 'text')
    """
    if not kind.is_numeric():
        return _DIGEST if name.endswith("_sha256") else _TEXT
    for pattern, form in _FORMS:
        if re.fullmatch(pattern, name):
            return form
    if kind.is_integer():
        return _INTEGER
    return _PERCENT if "0 to 1" in meaning else _NUMBER


def title_of(name: str, form: str) -> str:
    r"""A column's heading, with its unit.

    >>> title_of("ua", "percent"), title_of("recall_anger", "percent")
    ('UA,\xa0%', 'recall anger,\xa0%')
    """
    words = _TITLES.get(name) or re.sub(
        r"\b(ua|wa)\b", lambda found: found[0].upper(), name.replace("_", " ")
    )
    unit = _UNITS.get(form)
    if name == "seconds" or name.endswith("_seconds"):
        return words.replace("seconds", "time").strip() + ",\u00a0s"
    return f"{words},\u00a0{unit}" if unit else words


def ends_of(frame: pl.DataFrame, name: str) -> list[str]:
    """The columns that hold the ends of a column's interval: `ua_low`, `ua_high` of `ua`.

    >>> ends_of(pl.DataFrame(schema=["effect_size", "effect_low", "effect_high"]), "effect_size")
    ['effect_low', 'effect_high']
    """
    for base in (name, re.sub(r"_(value|size)$", "", name)):
        ends = [f"{base}_low", f"{base}_high"]
        if all(end in frame.columns for end in ends):
            return ends
    return []
