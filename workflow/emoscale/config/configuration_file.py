"""Safe reading of configuration files, whose size, depth and tags are checked."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from emoscale.runtime.errors import ConfigurationError

LARGEST_BYTES = 1_000_000
LARGEST_DEPTH = 50
LARGEST_VALUES = 100_000
"""Values in a file; those of an alias count each time it is used."""

TEMPLATE = "__use_yte__"
"""Key that makes Snakemake treat a file as a template, and execute the expressions in it."""

_TEMPLATE_REFUSED = (
    f"{TEMPLATE} makes Snakemake execute expressions of the file; write plain values"
)

_PLAIN = tuple(
    f"tag:yaml.org,2002:{kind}"
    for kind in ("str", "int", "float", "bool", "null", "seq", "map", "timestamp")
)
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_configuration_file(path: Path | str) -> dict[str, Any]:
    """Read a YAML or JSON file, without validating it as a study.

    Parameters
    ----------
    path : Path or str
        The file.

    Returns
    -------
    dict
        Its content.

    Raises
    ------
    ConfigurationError
        Where the file cannot be read, has a key twice (YAML silently uses the last one), is a
        template, has tags that are not plain data, or is too large or too deep, also by aliases.
    """
    path = Path(path)
    text = _text_of(path)
    try:
        content = json.loads(text, object_pairs_hook=_pairs)
    except (ValueError, RecursionError):  # not JSON, or what YAML's check has a sentence for
        content = _read_yaml(text, path)
    if isinstance(content, dict) and TEMPLATE in content:  # as an alias, or merged in
        raise ConfigurationError(f"{path}: {_TEMPLATE_REFUSED}")
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path}: must contain keys and values, such as 'study: demo'")
    return content


def line_of_key(paths: Sequence[Path | str], keys: Sequence[str | int]) -> str:
    """Return where configuration files state a value.

    Parameters
    ----------
    paths : sequence of Path or str
        Files that `read_configuration_file` accepts; a later one overrides those before it.
    keys : sequence of str or int
        Keys, and indices of lists, from the top of the file to the value.

    Returns
    -------
    str
        Such as ``config/demo.yaml, line 12``; empty where no file has the first key. Where keys
        after it are missing, the line of the last one that is there.
    """
    for path in reversed(paths):
        node, line = yaml.compose(_text_of(Path(path)), Loader=_Loader), 0
        for key in keys:
            entry = _entry(node, key)
            if entry is None:
                break
            line, node = entry
        if line:
            return f"{path}, line {line}"
    return ""


def _entry(node: Any, key: str | int) -> tuple[int, Any] | None:
    """Return the line of a key (or list index) in a node of YAML, and the node of its value."""
    if isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if name.value == str(key):
                return name.start_mark.line + 1, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        value = node.value[key]
        return value.start_mark.line + 1, value
    return None


def _text_of(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            content = file.read(LARGEST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigurationError(f"{path} cannot be read: {reason}") from None
    if len(content) > LARGEST_BYTES:
        raise ConfigurationError(
            f"{path} is larger than {LARGEST_BYTES:,} bytes, too large for a configuration; name "
            "another file"
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8"
        ) from None


def _pairs(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs) or TEMPLATE in content:
        raise ValueError  # YAML's check names key and line
    return content


def _read_yaml(text: str, path: Path) -> Any:
    try:
        _check(yaml.parse(text, Loader=_Loader), path)
        return yaml.load(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f", line {mark.line + 1}" if mark else ""
        raise ConfigurationError(f"{path}{line}: is not YAML: {error.problem}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ConfigurationError(f"{path}: is not YAML: {reason}") from None


@dataclass
class _Collection:
    """A mapping or list that is being read."""

    key_next: bool
    """Whether the next value is a key of a mapping."""

    is_mapping: bool
    anchor: str | None = None
    key: str = ""
    values: int = 1
    lines: dict[str, int] = field(default_factory=dict)


def _check(events: Iterator[Any], path: Path) -> None:
    """Check the events of a file, without building objects."""
    parts: list[_Collection] = []
    sizes: dict[str, int] = {}
    for event in events:
        if isinstance(event, yaml.NodeEvent):
            _check_tag(event, path)
        if isinstance(event, yaml.CollectionStartEvent):
            if len(parts) == LARGEST_DEPTH:
                raise _refused(path, event, f"is nested more than {LARGEST_DEPTH} deep; flatten it")
            mapping = isinstance(event, yaml.MappingStartEvent)
            parts.append(_Collection(mapping, mapping, event.anchor))
        elif isinstance(event, yaml.CollectionEndEvent):
            part = parts.pop()
            if part.anchor is not None:
                sizes[part.anchor] = part.values
            _count(parts, part.values, path, event)
        elif isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise _refused(path, event, f"*{event.anchor} is used before it is complete")
            _count(parts, sizes[event.anchor], path, event)
        elif isinstance(event, yaml.ScalarEvent):
            if event.anchor is not None:
                sizes[event.anchor] = 1
            if parts and parts[-1].key_next:
                _check_key(event, parts, path)
            _count(parts, 1, path, event)


def _count(parts: list[_Collection], values: int, path: Path, event: yaml.Event) -> None:
    if not parts:
        return
    part = parts[-1]
    part.values += values
    part.key_next = part.is_mapping and not part.key_next
    if part.values > LARGEST_VALUES:
        raise _refused(path, event, f"has more than {LARGEST_VALUES:,} values with its aliases")


def _check_key(event: yaml.ScalarEvent, parts: list[_Collection], path: Path) -> None:
    part = parts[-1]
    part.key = event.value
    if event.value in part.lines:
        name = ".".join(each.key for each in parts if each.is_mapping)
        raise _refused(
            path, event, f"{name} is already in line {part.lines[event.value]}; keep one of them"
        )
    part.lines[event.value] = _line(event)
    if event.value == TEMPLATE and len(parts) == 1:
        raise _refused(path, event, _TEMPLATE_REFUSED)


def _check_tag(event: yaml.NodeEvent, path: Path) -> None:
    tag = getattr(event, "tag", None)
    if tag is not None and tag not in (*_PLAIN, "!"):
        raise _refused(path, event, f"the tag {tag} is not allowed; write plain values")


def _refused(path: Path, event: yaml.Event, reason: str) -> ConfigurationError:
    return ConfigurationError(f"{path}, line {_line(event)}: {reason}")


def _line(event: yaml.Event) -> int:
    return 0 if event.start_mark is None else event.start_mark.line + 1
