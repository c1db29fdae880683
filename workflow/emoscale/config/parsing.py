"""Validation of settings by pydantic, with each mistake as a sentence that names key and line."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from emoscale.runtime.errors import ConfigurationError

Model = TypeVar("Model", bound=BaseModel)

Key = str | int
"""Of a mapping, or the index of a list's element."""

_ERRORS_SHOWN = 6  # a value that fits none of several kinds is an error for each of them


def parse_settings(
    model: type[Model] | Any,
    value: Any,
    source: str,
    line_of: Callable[[Sequence[Key]], str] = lambda keys: "",
) -> Any:
    """Validate settings.

    Parameters
    ----------
    model : type
        A pydantic model, or a union of models.
    value : Mapping or str
        The settings, as a mapping or as JSON text.
    source : str
        What the settings were read from; it begins the error message.
    line_of : callable
        Takes the keys that lead to a value, and returns its file and line, or an empty text.

    Returns
    -------
    Model
        The validated settings.

    Raises
    ------
    ConfigurationError
        With a sentence for each mistake.
    """
    adapter = TypeAdapter(model)
    try:
        if isinstance(value, str):
            return adapter.validate_json(value)
        return adapter.validate_python(value)
    except ValidationError as error:
        sentences = _sentences(error, value, line_of)
    raise ConfigurationError(f"{source}: {sentences}")


def _sentences(error: ValidationError, value: Any, line_of: Callable[[Sequence[Key]], str]) -> str:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            value = {}
    sentences = []
    for problem in error.errors():
        is_missing = problem["type"] == "missing"
        keys = _keys(problem["loc"][:-1] if is_missing else problem["loc"], value)
        location = keys
        if is_missing:
            message, location = "is missing", [*keys, problem["loc"][-1]]
        elif problem["type"] == "unknown_key":
            message, keys = problem["msg"], [*keys, problem["ctx"]["key"]]
        elif problem["type"] == "union_tag_invalid":
            context = problem["ctx"]
            message = f"{context['tag']} is not known; choose one of {context['expected_tags']}"
        elif problem["type"] == "unknown_kind":
            settings = problem["input"]
            kind = settings.get("kind") if isinstance(settings, dict) else None
            message = f"{kind} is not known" if kind else "kind is missing"
            message += "; " + problem["msg"]
        else:
            message = problem["msg"].removeprefix("Value error, ")
        keys = keys or _keys_at_start(message, value)
        line = line_of(keys) if keys else ""
        name = ".".join(map(str, location))
        sentence = f"{name}: {message}" if name else message
        sentences.append(f"{sentence} ({line})" if line else sentence)
    further = len(sentences) - _ERRORS_SHOWN
    shown = [*sentences[:_ERRORS_SHOWN], *([f"and {further} more"] if further > 0 else [])]
    return "; ".join(shown)


def _keys_at_start(message: str, value: Any) -> list[Key]:
    """Return the keys in front of a message on several settings, such as experiments.mfcc."""
    keys: list[Key] = [*message.partition(":")[0].split(".")]
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            return []
        value = value[key]
    return keys


def _keys(location: Sequence[Key], value: Any) -> list[Key]:
    """Return the keys of a location, without the names of kinds that pydantic adds for unions.

    A kind may have the name of a key (url, pretrain), so the interpretation with most keys is
    chosen, and of two the one without that name.
    """
    if not location:
        return []
    without = _keys(location[1:], value)
    try:
        inner = value[location[0]]
    except (KeyError, IndexError, TypeError):
        return without
    if isinstance(inner, str) and [inner] == [*location[1:2]]:
        return without  # names of kinds: pretrain, and within it wav2vec
    keys = [location[0], *_keys(location[1:], inner)]
    return keys if len(keys) > len(without) else without
