"""Numbers and names as a reader sees them in a sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup


def percent(share: float) -> str:
    r"""A share as a percentage with one decimal; number and sign stay on one line.

    >>> percent(0.7884)
    '78.8\xa0%'
    """
    return f"{100 * share:.1f}\u00a0%"


def known(value: Any) -> bool:
    """Whether there is a number: not null, not NaN."""
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def interval_words(
    row: Mapping[str, Any], name: str, *, unit: str = "\u00a0%", scale: float = 100
) -> str:
    r"""The 95 % interval of a column, of its `_low` and `_high`; empty where there is none.

    >>> interval_words({"ua": 0.5, "ua_low": 0.411, "ua_high": 0.62}, "ua")
    '95\xa0% interval 41.1 to 62.0\xa0%'
    """
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    if not (known(low) and known(high)):
        return ""
    assert low is not None
    assert high is not None
    if math.isinf(high):
        return f"95\u00a0% interval {scale * low:.1f}{unit} or more"
    return f"95\u00a0% interval {scale * low:.1f} to {scale * high:.1f}{unit}".replace(
        "-", "\u2212"
    )


def size_words(size: str, labels: float) -> str:
    """A training size with its number of labels.

    >>> size_words("all", 356.4), size_words("500", 500.0), size_words("125-per-class", 500.0)
    ('all 356 labels', '500 labels', '125 labels a class (500)')
    """
    number = f"{labels:,.0f}"
    if size == "all":
        return f"all {number} labels"
    if size.endswith("-per-class"):
        return f"{size.removesuffix('-per-class')} labels a class ({number})"
    return f"{number} labels"


def p_words(p_value: float) -> str:
    r"""A p-value on one line; a very small one as a bound.

    >>> p_words(0.0312), p_words(2e-7), p_words(1.0)
    ('p\xa0=\xa00.031', 'p\xa0<\xa00.001', 'p\xa0=\xa01')
    """
    told = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}" if p_value < 0.9995 else "p = 1"
    return told.replace(" ", "\u00a0")


def times_words(factor: float) -> str:
    """A factor with the digits that it deserves.

    >>> times_words(4.461), times_words(17.8)
    ('4.5', '18')
    """
    return f"{factor:.1f}" if factor < 10 else f"{factor:,.0f}"


def named(name: str) -> Markup:
    """An experiment's name, which may hold any letters."""
    return Markup('<b class="name">{}</b>').format(name)


def strong(text: str) -> Markup:
    """What the eye must find."""
    return Markup("<strong>{}</strong>").format(text)


def enumerated(names: Sequence[str]) -> Markup:
    """Names in a row, the last after `and`."""
    marked = [named(name) for name in names]
    if len(marked) < 2:
        return Markup("").join(marked)
    return Markup(", ").join(marked[:-1]) + Markup(" and ") + marked[-1]


def count_words(number: int, one: str, several: str | None = None) -> str:
    """A number with its noun.

    >>> count_words(1, "speaker"), count_words(10, "speaker")
    ('one speaker', '10 speakers')
    """
    return f"one {one}" if number == 1 else f"{number:,} {several or one + 's'}"
