"""Ways to damage an input: its bytes, its text, its values."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

HOSTILE_TEXTS = (
    "",
    " ",
    "../../x",
    "/etc/passwd",
    "..",
    "a b",
    "a'b",
    'a"b',
    "a;touch pwned",
    "$(touch pwned)",
    "`touch pwned`",
    "a\nb",
    "a\tb",
    "-rf",
    "--help",
    "{shard}",
    "{wildcards}",
    "{",
    "a/b/../../c",
    "~",
    "CON",
    "a\0b",
    "\x1b[2Jx",
    "e\u0301",
    "\u00e9",
    "\ud800",
    "x" * 5000,
    "9" * 5000,
    "1e999",
    "nan",
    "-inf",
    "null",
    "true",
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "!!python/object/apply:os.system [touch pwned]",
)
HOSTILE_VALUES: tuple[Any, ...] = (
    *HOSTILE_TEXTS,
    None,
    True,
    0,
    -1,
    1,
    2**31,
    2**63,
    10**30,
    0.5,
    -0.0,
    1e308,
    1e-308,
    float("nan"),
    float("inf"),
    [],
    {},
    [None],
    [[]],
    {"a": {}},
    {"kind": "mfcc"},
    ["x"] * 200,
    {1: 2},
    [1, "1", 1.0],
)
NUMBERS = tuple(
    number.to_bytes(width, order)
    for width in (2, 4, 8)
    for number in (0, 1, (1 << (8 * width - 1)) - 1, (1 << (8 * width)) - 1, 1 << (8 * width - 2))
    for order in ("little", "big")
)


def damaged_bytes(content: bytes, random: Random, head: int | None = None) -> bytes:
    """One to four changes of single bits, bytes, numbers or stretches; within the first `head`."""
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 2, 4))):
        end = max(1, min(len(changed), head or len(changed)))
        place = random.randrange(end)
        length = random.choice((1, 2, 4, 16, 64, 1024))
        match random.randrange(8):
            case 0 if changed:
                changed[place % len(changed)] ^= 1 << random.randrange(8)
            case 1:
                changed[place : place + 1] = random.randbytes(1)
            case 2 | 3:
                number = random.choice(NUMBERS)
                changed[place : place + len(number)] = number
            case 4:
                del changed[place : place + length]
            case 5:
                changed[place:place] = random.randbytes(length)
            case 6:
                other = random.randrange(end)
                changed[place : place + length] = changed[other : other + length]
            case _:
                del changed[random.choice((place, len(changed) * random.randrange(100) // 100)) :]
    return bytes(changed)


def damaged_text(text: str, random: Random, words: Sequence[str] = HOSTILE_TEXTS) -> str:
    """One to four changes: cells and lines replaced, repeated, moved, removed."""
    lines = text.split("\n")
    for _ in range(random.choice((1, 1, 2, 4))):
        place = random.randrange(len(lines))
        line = lines[place]
        match random.randrange(7):
            case 0:
                lines[place] = _one_replaced(line, random, words)
            case 1:
                lines[place] = _one_replaced(line, random, words)
            case 2:
                del lines[place]
                lines = lines or [""]
            case 3:
                lines.insert(random.randrange(len(lines) + 1), line)
            case 4:
                at = random.randrange(len(line) + 1)
                lines[place] = line[:at] + random.choice(words) + line[at:]
            case 5:
                at = random.randrange(len(line) + 1)
                lines[place] = (
                    line[:at] + random.choice("\"',:;\t[]{}()#&*!|>-%@`\\\r\0") + line[at:]
                )
            case _:
                at = random.randrange(len(line) + 1)
                lines[place] = line[at:]
    return "\n".join(lines)


def damaged_value(value: Any, random: Random, others: Sequence[Any] = HOSTILE_VALUES) -> Any:
    """The same nested value with one to three parts replaced, removed, renamed or added."""
    changed = copy.deepcopy(value)
    for _ in range(random.choice((1, 1, 2, 3))):
        place, key = random.choice(_places(changed) or [([None], 0)])
        match random.randrange(6):
            case 0 | 1 | 2:
                place[key] = copy.deepcopy(random.choice(others))
            case 3:
                del place[key]
            case 4 if isinstance(place, dict):
                place[random.choice(HOSTILE_TEXTS)] = place.pop(key)
            case 4 | 5 if isinstance(place, dict):
                place[random.choice(HOSTILE_TEXTS)] = copy.deepcopy(random.choice(others))
            case _:
                place.insert(0, copy.deepcopy(random.choice(others)))
    return changed


def plausible_change(value: Any, random: Random, others: Sequence[Any]) -> Any:
    """The same nested value with one or two leaves replaced by something of the same type.

    A word becomes one that stands under the same key in `others`, a number another number.
    """
    changed = copy.deepcopy(value)
    words: dict[Any, list[str]] = {}
    for other in (changed, *others):
        for place, key in _places(other):
            if isinstance(place[key], str):
                words.setdefault(_name_of(place, key), []).append(place[key])
    for _ in range(random.choice((1, 1, 2))):
        leaves = [
            (place, key)
            for place, key in _places(changed)
            if not isinstance(place[key], dict | list) or not place[key]
        ]
        place, key = random.choice(leaves)
        place[key] = _another(place[key], words.get(_name_of(place, key), [""]), random)
    return changed


def _name_of(place: Any, key: Any) -> Any:
    """What words stand under: their key; those of a list are all of one kind."""
    return "a list" if isinstance(place, list) else key


def _another(value: Any, words: Sequence[str], random: Random) -> Any:
    match value:
        case bool():
            return not value
        case int():
            return random.choice((value + 1, max(0, value - 1), value * 2, value // 2, 3, 1000))
        case float():
            return random.choice((value / 2, value * 2, value + 0.1, 0.0, 1, 0.5))
        case str():
            return random.choice(words)
        case None:
            return random.choice((1, 0.1, "all"))
        case _:
            return value


def change_file(pattern: str, head: int | None = None) -> Callable[[Path, Random], None]:
    """Damages the bytes of one file of those that match `pattern`."""

    def change(folder: Path, random: Random) -> None:
        path = random.choice(sorted(folder.glob(pattern)))
        near = head if random.random() < 0.8 else None
        path.write_bytes(damaged_bytes(path.read_bytes(), random, near))

    return change


def change_text(pattern: str) -> Callable[[Path, Random], None]:
    """Damages the text of one file of those that match `pattern`, now and then its bytes."""

    def change(folder: Path, random: Random) -> None:
        path = random.choice(sorted(folder.glob(pattern)))
        content = path.read_bytes()
        if random.random() < 0.8:
            text = damaged_text(content.decode(), random)
            path.write_bytes(text.encode("utf-8", "surrogatepass"))
        else:
            path.write_bytes(damaged_bytes(content, random))

    return change


def _one_replaced(line: str, random: Random, words: Sequence[str]) -> str:
    for separator in (",", "\t", ": ", " "):
        if separator in line:
            cells = line.split(separator)
            cells[random.randrange(len(cells))] = random.choice(words)
            return separator.join(cells)
    return random.choice(words)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every container within `value`, with each of its keys."""
    keys = list(value) if isinstance(value, dict) else []
    keys = list(range(len(value))) if isinstance(value, list) else keys
    below = [place for key in keys for place in _places(value[key])]
    return [*((value, key) for key in keys), *below]
