"""Hypothesis strategies of damaged inputs, and a check of how reading one ends."""

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

MEMORY_BYTES = 8 << 30  # of address space: a size in a damaged header must not be allocated
HOSTILE_STRINGS = (
    *("", " ", "..", "../../x", "/etc/passwd", "a/../../c", "~", "a b", "a'b", 'a"b', "-rf"),
    *("$(touch pwned)", "`touch pwned`", "a;touch pwned", "{shard}", "{", "a\nb", "a\tb", "a\0b"),
    *("\x1b[2Jx", "e\u0301", "\u00e9", "\ud800", "x" * 5000, "9" * 5000, "1e999", "nan", "-inf"),
    *("null", "true", "CON", "=cmd|' /C calc'!A0", "<script>alert(1)</script>"),
    "!!python/object/apply:os.system [touch pwned]",
)
VALUES: tuple[Any, ...] = (
    *(*HOSTILE_STRINGS, None, True, 0, -1, 1, 2**31, 2**63, 10**30, 0.5, -0.0, 1e308, 1e-308),
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
    """Flip bits, overwrite numbers, and cut, insert or repeat spans in the first `head` bytes."""
    changed = bytearray(content)
    for _ in range(draw(_CHANGES)):
        start = draw(st.integers(0, max(0, min(len(changed), head or len(changed)) - 1)))
        end = start + draw(st.sampled_from([1, 2, 4, 16, 64, 1024]))
        match draw(st.sampled_from(["flip", "number", "cut", "insert", "repeat", "end"])):
            case "flip" if changed:
                changed[start] ^= 1 << draw(st.integers(0, 7))
            case "number":
                number = draw(st.sampled_from(_NUMBERS))
                changed[start : start + len(number)] = number
            case "cut":
                del changed[start:end]
            case "insert":
                changed[start:start] = draw(st.binary(min_size=1, max_size=16))
            case "repeat":
                changed[start:start] = changed[start:end]
            case _:
                del changed[draw(st.integers(0, len(changed))) :]
    return bytes(changed)


@st.composite
def damaged_text(draw: st.DrawFn, text: str) -> bytes:
    """Replace, remove or repeat cells and lines, insert punctuation, or damage the bytes."""
    tokens = re.split("([,\t\n]|: )", text)
    for _ in range(draw(_CHANGES)):
        index = draw(st.integers(0, len(tokens) - 1))
        string = draw(st.sampled_from([*HOSTILE_STRINGS, *"\"',:;\t[]{}()#&*!|>-%@`\\\r\0"]))
        match draw(st.sampled_from(["replace", "insert", "remove", "repeat"])):
            case "replace":
                tokens[index] = string
            case "insert":
                tokens.insert(index, string)
            case "remove":
                del tokens[index : index + 2]  # a cell with its separator
            case _:
                tokens[index:index] = tokens[index : index + draw(st.integers(1, 20))]
        tokens = tokens or [""]
    changed = "".join(tokens).encode("utf-8", "surrogatepass")
    return draw(damaged_bytes(changed)) if draw(st.integers(0, 4)) == 0 else changed


@st.composite
def damaged_tree(draw: st.DrawFn, tree: Any, others: Any) -> Any:
    """Replace, remove, rename or add values of nested dictionaries and lists.

    Most new values are plausible: another number, or a value of the same key in `others`.
    """
    changed = copy.deepcopy(tree)
    for _ in range(draw(_CHANGES)):
        node, key = draw(st.sampled_from([*_items(changed)] or [([None], 0)]))
        value, other = node[key], draw(st.sampled_from(VALUES))
        string = draw(st.sampled_from(HOSTILE_STRINGS))
        match draw(st.sampled_from([*["plausible"] * 6, "replace", "remove", "rename", "add"])):
            case "plausible" if isinstance(value, bool):
                node[key] = not value
            case "plausible" if isinstance(value, int | float):
                node[key] = draw(st.sampled_from([0, value / 2, value * 2, value + 1, 1000]))
            case "plausible":
                values = [parent[name] for parent, name in _items(others) if name == key]
                node[key] = copy.deepcopy(draw(st.sampled_from(values or [other])))
            case "remove":
                del node[key]
            case "rename" if isinstance(node, dict):
                node[string] = node.pop(key)
            case "add" if isinstance(node, dict):
                node[string] = copy.deepcopy(other)
            case _:
                node[key] = copy.deepcopy(other)
    return changed


def _items(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Yield every container within `tree` with each of its keys."""
    for key in list(tree) if isinstance(tree, dict) else range(len(tree)):
        yield tree, key
        if isinstance(tree[key], dict | list):
            yield from _items(tree[key])


def _reserved_bytes() -> int:
    """Return the address space of this process; a browser engine of another test reserves much."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


def check_reading(folder: Path, read: Callable[[], object], keys: Collection[str] = ()) -> bool:
    """Return whether `read` accepts the files in `folder`; False if it raises a `UserError`.

    The error must name the folder or one of `keys`, and contain no control characters unless they
    are quoted from a file. Other exceptions, new files next to the folder and executed code fail
    the test. (A reader in C that hangs is ended by pytest's faulthandler_timeout.)
    """
    limit, working_folder = resource.getrlimit(resource.RLIMIT_AS), Path.cwd()
    siblings = sorted(folder.parent.iterdir())
    resource.setrlimit(resource.RLIMIT_AS, (_reserved_bytes() + MEMORY_BYTES, limit[1]))
    os.chdir(folder)
    message = ""
    try:
        read()
    except UserError as error:
        message = Exception.__str__(error)  # before it is escaped and shortened
        assert any(name in message for name in (str(folder), *keys)), (
            f"names no file or key: {message}"
        )
    finally:
        os.chdir(working_folder)
        resource.setrlimit(resource.RLIMIT_AS, limit)
    assert sorted(folder.parent.iterdir()) == siblings
    assert not (folder / "pwned").exists()
    for string in HOSTILE_STRINGS:
        message = message if string.isprintable() else message.replace(string, "…")
    for control in re.findall(r".?[\x00-\x1f\x7f].?", message, re.DOTALL):
        quoted = control.encode("utf-8", "surrogatepass")
        assert any(quoted in file.read_bytes() for file in folder.rglob("*") if file.is_file()), (
            message
        )
    return not message
