"""Damaged inputs as Hypothesis draws them, and the two ways in which reading one may end."""

from __future__ import annotations

import copy
import os
import re
import resource
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from emoscale.runtime.errors import UserError

MEMORY_BYTES = 8 << 30  # of addresses, more than there are: nobody asks for what a header promises
WORDS = (
    *("", " ", "..", "../../x", "/etc/passwd", "a/../../c", "~", "a b", "a'b", 'a"b', "-rf"),
    *("$(touch pwned)", "`touch pwned`", "a;touch pwned", "{shard}", "{", "a\nb", "a\tb", "a\0b"),
    *("\x1b[2Jx", "e\u0301", "\u00e9", "\ud800", "x" * 5000, "9" * 5000, "1e999", "nan", "-inf"),
    *("null", "true", "CON", "=cmd|' /C calc'!A0", "<script>alert(1)</script>"),
    "!!python/object/apply:os.system [touch pwned]",
)
VALUES: tuple[Any, ...] = (
    *(*WORDS, None, True, 0, -1, 1, 2**31, 2**63, 10**30, 0.5, -0.0, 1e308, 1e-308),
    *(float("nan"), float("inf"), [], {}, [None], [[]], {"a": {}}, {"kind": "mfcc"}),
    *(["x"] * 200, {1: 2}, [1, "1", 1.0]),
)
_NUMBERS = [
    number.to_bytes(width, order)
    for width in (2, 4, 8)
    for number in (0, 1, (1 << (8 * width - 1)) - 1, (1 << (8 * width)) - 1, 1 << (8 * width - 2))
    for order in ("little", "big")
]
_CHANGES = st.sampled_from([1, 1, 1, 2, 3])


@st.composite
def damaged_bytes(draw: st.DrawFn, content: bytes, head: int | None = None) -> bytes:
    """Bits flipped, numbers overwritten, stretches cut, inserted or repeated within the `head`."""
    changed = bytearray(content)
    for _ in range(draw(_CHANGES)):
        place = draw(st.integers(0, max(0, min(len(changed), head or len(changed)) - 1)))
        end = place + draw(st.sampled_from([1, 2, 4, 16, 64, 1024]))
        match draw(st.sampled_from(["flip", "number", "cut", "insert", "repeat", "end"])):
            case "flip" if changed:
                changed[place] ^= 1 << draw(st.integers(0, 7))
            case "number":
                number = draw(st.sampled_from(_NUMBERS))
                changed[place : place + len(number)] = number
            case "cut":
                del changed[place:end]
            case "insert":
                changed[place:place] = draw(st.binary(min_size=1, max_size=16))
            case "repeat":
                changed[place:place] = changed[place:end]
            case _:
                del changed[draw(st.integers(0, len(changed))) :]
    return bytes(changed)


@st.composite
def damaged_text(draw: st.DrawFn, text: str) -> bytes:
    """Cells and lines replaced, removed or repeated, marks put in; or its bytes damaged."""
    parts = re.split("([,\t\n]|: )", text)
    for _ in range(draw(_CHANGES)):
        place = draw(st.integers(0, len(parts) - 1))
        word = draw(st.sampled_from([*WORDS, *"\"',:;\t[]{}()#&*!|>-%@`\\\r\0"]))
        match draw(st.sampled_from(["replace", "insert", "remove", "repeat"])):
            case "replace":
                parts[place] = word
            case "insert":
                parts.insert(place, word)
            case "remove":
                del parts[place : place + 2]  # a cell with its separator
            case _:
                parts[place:place] = parts[place : place + draw(st.integers(1, 20))]
        parts = parts or [""]
    changed = "".join(parts).encode("utf-8", "surrogatepass")
    return draw(damaged_bytes(changed)) if draw(st.integers(0, 4)) == 0 else changed


@st.composite
def damaged_tree(draw: st.DrawFn, tree: Any, others: Any) -> Any:
    """Values of nested dictionaries and lists replaced, removed, renamed or added.

    Most become what somebody may mean: what stands under such a key in `others`, another number.
    """
    changed = copy.deepcopy(tree)
    for _ in range(draw(_CHANGES)):
        place, key = draw(st.sampled_from([*_places(changed)] or [([None], 0)]))
        value, other, word = place[key], draw(st.sampled_from(VALUES)), draw(st.sampled_from(WORDS))
        match draw(st.sampled_from([*["mean"] * 6, "replace", "remove", "rename", "add"])):
            case "mean" if isinstance(value, bool):
                place[key] = not value
            case "mean" if isinstance(value, int | float):
                place[key] = draw(st.sampled_from([0, value / 2, value * 2, value + 1, 1000]))
            case "mean":
                meant = [of[name] for of, name in _places(others) if name == key]
                place[key] = copy.deepcopy(draw(st.sampled_from(meant)))
            case "remove":
                del place[key]
            case "rename" if isinstance(place, dict):
                place[word] = place.pop(key)
            case "add" if isinstance(place, dict):
                place[word] = copy.deepcopy(other)
            case _:
                place[key] = copy.deepcopy(other)
    return changed


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every container within `tree`, with each of its keys."""
    for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
        yield tree, key
        if isinstance(tree[key], dict | list):
            yield from _places(tree[key])


def _reserved_bytes() -> int:
    """Address space of this process; a browser engine imported by another test reserves much."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def is_read(folder: Path, read: Callable[[], object], keys: Collection[str] = ()) -> bool:
    """Whether `read` accepts what lies in `folder`; False where it refuses it in one sentence.

    The sentence names the place, or one of `keys`. Any other error is an error, and so is what
    stands beside the folder afterwards, or whatever was executed. (A reader in C that hangs is
    ended with its process by pytest's faulthandler_timeout.)
    """
    limit, before, around = resource.getrlimit(resource.RLIMIT_AS), Path.cwd(), folder.parent
    beside = sorted(around.iterdir())
    resource.setrlimit(resource.RLIMIT_AS, (_reserved_bytes() + MEMORY_BYTES, limit[1]))
    os.chdir(folder)
    said = ""
    try:
        read()
    except UserError as error:
        said = Exception.__str__(error)  # before it is escaped and shortened
        assert any(name in said for name in (str(folder), *keys)), f"names no place: {said}"
    finally:
        os.chdir(before)
        resource.setrlimit(resource.RLIMIT_AS, limit)
    assert sorted(around.iterdir()) == beside
    assert not (folder / "pwned").exists()
    for word in WORDS:
        said = said if word.isprintable() else said.replace(word, "…")
    for mark in re.findall(r".?[\x00-\x1f\x7f].?", said, re.DOTALL):  # of its own, not quoted?
        part = mark.encode("utf-8", "surrogatepass")
        assert any(part in file.read_bytes() for file in folder.rglob("*") if file.is_file()), said
    return not said
