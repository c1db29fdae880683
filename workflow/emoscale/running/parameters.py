"""Which parameters of a step changed, and where in them: Snakemake keeps values without names."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Change:
    """One parameter, or one place in it, that is no longer what it was."""

    parameter: str
    """The rule's name for it; empty where it can no longer be told."""

    path: str = ""
    """Where in its JSON, with dots; empty: all of it."""

    old: str | None = None
    """As JSON; null: it was not there, or cannot be told."""

    new: str | None = None
    """As JSON; null: it is no longer there."""


def changes_of(
    only_old: Iterable[str], only_new: Iterable[str], now: Mapping[str, Any]
) -> tuple[Change, ...]:
    """Pair the values that are gone with those that are new, and compare what both hold.

    The values are as Snakemake keeps them: `repr`, without names; `now` has the names of today's.

    >>> changes_of({"'{\\"a\\":1,\\"b\\":2}'"}, {"'{\\"a\\":1,\\"b\\":3}'"},
    ...     {"settings": "'{\\"a\\":1,\\"b\\":3}'"})
    (Change(parameter='settings', path='b', old='2', new='3'),)
    """
    left = [_value(text) for text in sorted(map(str, only_old))]
    found: list[Change] = []
    fresh = set(map(str, only_new))
    names = [name for name in sorted(now) if str(now[name]) in fresh]
    for name in names:
        new = _value(str(now[name]))
        likeness = [_likeness(old, new) for old in left]
        if not left or (max(likeness) == 0 and len(left) != len(names)):
            found.append(Change(name, new=_text(new)))
            continue
        old = left.pop(likeness.index(max(likeness)))
        found.extend(
            Change(name, path, before, after) for path, before, after in _differences(old, new)
        )
    found.extend(Change("", old=_text(old)) for old in left)
    return tuple(found)


def _value(text: str) -> Any:
    """A parameter from its `repr`; where it is JSON, what that says."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    if isinstance(value, str) and value[:1] in "{[":
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            return value
    return value


def _likeness(old: Any, new: Any) -> float:
    """How probably one is what the other was, from 0 to 3."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = old.keys() | new.keys()
        same = sum(key in old and key in new for key in keys)
        equal = sum(key in old and key in new and old[key] == new[key] for key in keys)
        return 1 + (same + equal) / len(keys) if keys else 1
    if is_digest(old) or is_digest(new):
        return 2.0 * (is_digest(old) and is_digest(new))
    return float(type(old) is type(new))


def is_digest(value: Any) -> bool:
    """Whether a value is a sha256, which says nothing to a person."""
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def _differences(old: Any, new: Any, path: str = "") -> list[tuple[str, str | None, str | None]]:
    if not (isinstance(old, dict) and isinstance(new, dict)):
        return [] if old == new else [(path, _text(old), _text(new))]
    rows: list[tuple[str, str | None, str | None]] = []
    for key in sorted(old.keys() | new.keys()):
        place = f"{path}.{key}" if path else str(key)
        if key not in old:
            rows.append((place, None, _text(new[key])))
        elif key not in new:
            rows.append((place, _text(old[key]), None))
        else:
            rows.extend(_differences(old[key], new[key], place))
    return rows


def _text(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
