"""Checks settings; what is wrong with them becomes sentences."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from emoscale.runtime.errors import ConfigurationError

Model = TypeVar("Model", bound=BaseModel)

_MISTAKES_SHOWN = 6  # of one place, a mistake may be one for each kind that it could be


def parse_settings(model: type[Model] | Any, value: Any, where: str) -> Any:
    """Check `value` (a mapping, or JSON text) against `model`; mistakes become sentences."""
    adapter = TypeAdapter(model)
    try:
        if isinstance(value, str):
            return adapter.validate_json(value)
        return adapter.validate_python(value)
    except ValidationError as error:
        raise ConfigurationError(f"{where}: {_sentences(error)}") from None


def _sentences(error: ValidationError) -> str:
    lines = []
    for problem in error.errors():
        place = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            message = f"unknown key {problem['loc'][-1]}; remove it or mend its spelling"
        elif problem["type"] == "missing":
            message = "is missing"
        elif problem["type"] == "union_tag_invalid":
            context = problem["ctx"]
            message = f"{context['tag']} is not known; choose one of {context['expected_tags']}"
        elif problem["type"] == "unknown_kind":
            given = problem["input"]
            kind = given.get("kind") if isinstance(given, dict) else None
            message = f"{kind} is not known" if kind else "kind is missing"
            message += "; " + problem["msg"]
        else:
            message = problem["msg"].removeprefix("Value error, ")
        lines.append(f"{place}: {message}" if place else message)
    further = len(lines) - _MISTAKES_SHOWN
    return "; ".join([*lines[:_MISTAKES_SHOWN], *([f"and {further} more"] if further > 0 else [])])
