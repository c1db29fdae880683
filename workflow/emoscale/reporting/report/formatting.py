"""Format numbers and names for sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

NO_BREAK_SPACE = "\u00a0"


def format_percent(fraction: float) -> str:
    r"""Format a fraction as a percentage with one decimal, on one line.

    Parameters
    ----------
    fraction : float
        A fraction, 0 to 1.

    Returns
    -------
    str
        The percentage.

    Examples
    --------
    >>> format_percent(0.7884)
    '78.8\xa0%'
    """
    return f"{100 * fraction:.1f}{NO_BREAK_SPACE}%"


def is_number(value: Any) -> bool:
    """Return whether a value is neither null nor NaN.

    Parameters
    ----------
    value : Any
        A value of a table.

    Returns
    -------
    bool
        Whether the value is known.
    """
    return value is not None and not (isinstance(value, float) and math.isnan(value))


def format_interval(
    row: Mapping[str, Any], name: str, *, unit: str = f"{NO_BREAK_SPACE}%", scale: float = 100
) -> str:
    r"""Format the 95 % confidence interval of a column.

    Parameters
    ----------
    row : mapping
        A row of a table, with the columns `<name>_low` and `<name>_high`.
    name : str
        Name of the column.
    unit : str
        Unit after the upper end.
    scale : float
        Factor from the values of the table to the unit.

    Returns
    -------
    str
        The interval; empty if it is unknown.

    Examples
    --------
    >>> format_interval({"ua": 0.5, "ua_low": 0.411, "ua_high": 0.62}, "ua")
    '95\xa0% confidence interval 41.1 to 62.0\xa0%'
    """
    low, high = row.get(f"{name}_low"), row.get(f"{name}_high")
    if not (is_number(low) and is_number(high)):
        return ""
    assert low is not None
    assert high is not None
    label = f"95{NO_BREAK_SPACE}% confidence interval"
    if math.isinf(high):
        return f"{label} {scale * low:.1f}{unit} or more"
    return f"{label} {scale * low:.1f} to {scale * high:.1f}{unit}".replace("-", "\u2212")


def format_probability(value: float) -> str:
    r"""Return a probability as a percentage without decimals.

    Parameters
    ----------
    value : float
        0 to 1.

    Returns
    -------
    str
        The text.

    Examples
    --------
    >>> format_probability(0.654), format_probability(0.9991)
    ('65\xa0%', 'more than 99\xa0%')
    """
    return "more than 99\u00a0%" if value > 0.995 else f"{100 * value:.0f}\u00a0%"


def format_size(size: str, labels: float) -> str:
    """Format a training size with its number of labels.

    Parameters
    ----------
    size : str
        Training size, as in the configuration.
    labels : float
        Number of labels, mean over folds.

    Returns
    -------
    str
        The size.

    Examples
    --------
    >>> format_size("all", 356.4), format_size("500", 500.0), format_size("125-per-class", 500.0)
    ('all 356 labels', '500 labels', '125 labels per class (500)')
    """
    number = f"{labels:,.0f}"
    if size == "all":
        return f"all {number} labels"
    if size.endswith("-per-class"):
        return f"{size.removesuffix('-per-class')} labels per class ({number})"
    return f"{number} labels"


def format_p_value(p_value: float) -> str:
    r"""Format a p-value on one line, a very small one as a bound.

    Parameters
    ----------
    p_value : float
        The p-value.

    Returns
    -------
    str
        The p-value.

    Examples
    --------
    >>> format_p_value(0.0312), format_p_value(2e-7), format_p_value(1.0)
    ('p\xa0=\xa00.031', 'p\xa0<\xa00.001', 'p\xa0=\xa01')
    """
    if p_value < 0.001:
        return f"p{NO_BREAK_SPACE}<{NO_BREAK_SPACE}0.001"
    text = f"p = {p_value:.3f}" if p_value < 0.9995 else "p = 1"
    return text.replace(" ", NO_BREAK_SPACE)


def format_factor(factor: float) -> str:
    """Format a factor, with one decimal below 10.

    Parameters
    ----------
    factor : float
        The factor.

    Returns
    -------
    str
        The factor.

    Examples
    --------
    >>> format_factor(4.461), format_factor(17.8)
    ('4.5', '18')
    """
    return f"{factor:.1f}" if factor < 10 else f"{factor:,.0f}"


def mark_name(name: str) -> Markup:
    """Return the name of an experiment as markup; its characters are escaped.

    Parameters
    ----------
    name : str
        The name.

    Returns
    -------
    Markup
        The marked name.
    """
    return Markup('<b class="name">{}</b>').format(name)


def strong(text: str) -> Markup:
    """Return a text as strong markup; its characters are escaped.

    Parameters
    ----------
    text : str
        The text.

    Returns
    -------
    Markup
        The marked text.
    """
    return Markup("<strong>{}</strong>").format(text)


def join_names(names: Sequence[str]) -> Markup:
    """Return the names of experiments as a list with commas and `and`.

    Parameters
    ----------
    names : sequence of str
        The names.

    Returns
    -------
    Markup
        The list.
    """
    marked = [mark_name(name) for name in names]
    if len(marked) < 2:
        return Markup("").join(marked)
    return Markup(", ").join(marked[:-1]) + Markup(" and ") + marked[-1]


def format_count(number: int, singular: str, plural: str | None = None) -> str:
    """Format a number with its noun.

    Parameters
    ----------
    number : int
        The number.
    singular : str
        The noun for one.
    plural : str or None
        The noun for all other numbers; None: `singular` with an s.

    Returns
    -------
    str
        The number and the noun.

    Examples
    --------
    >>> format_count(1, "speaker"), format_count(10, "speaker")
    ('one speaker', '10 speakers')
    """
    return f"one {singular}" if number == 1 else f"{number:,} {plural or singular + 's'}"
