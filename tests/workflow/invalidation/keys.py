"""Every key that the configuration has, and every row of the table."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from emoscale.config.study import Study
from tests.workflow.invalidation import (
    corpus_keys,
    model_keys,
    representation_keys,
    result_keys,
)
from tests.workflow.invalidation.row import Row

KEYS: dict[str, Row] = {
    **corpus_keys.KEYS,
    **representation_keys.KEYS,
    **model_keys.KEYS,
    **result_keys.KEYS,
}


def keys_of(model_class: type[BaseModel] = Study, before: str = "") -> Iterator[str]:
    """Every key of the configuration; of a union, under each of its models: a(Model).key."""
    for name, info in model_class.model_fields.items():
        found = list(dict.fromkeys(_models_in(info.annotation)))
        if not found:
            yield before + name
        for each in found:
            kind = f"({each.__name__})" if len(found) > 1 else ""
            yield from keys_of(each, f"{before}{name}{kind}.")


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for argument in typing.get_args(annotation):
        yield from _models_in(argument)
