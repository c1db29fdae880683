"""All keys of the configuration and all rows of the table."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from emoscale.config.corpus import NamedCorpus
from emoscale.config.pretraining import Wav2Vec2Pretraining
from emoscale.config.study import Study
from tests.workflow.invalidation import (
    corpus_keys,
    model_keys,
    pretraining_keys,
    representation_keys,
    result_keys,
)
from tests.workflow.invalidation.row import Row

KEYS: dict[str, Row] = {
    **corpus_keys.KEYS,
    **representation_keys.KEYS,
    **pretraining_keys.KEYS,
    **model_keys.KEYS,
    **result_keys.KEYS,
}


def keys_of(model_class: type[BaseModel] = Study, prefix: str = "") -> Iterator[str]:
    """Yield every key of the configuration; keys of a union for each model, as a(Model).key.

    Unlabelled speech has its keys below one kind of pre-training, and a corpus as speech is one
    key, because its keys are those of `corpus`.
    """
    for name, info in model_class.model_fields.items():
        nested_models = list(dict.fromkeys(_models_in(info.annotation)))
        if not nested_models or (model_class is Wav2Vec2Pretraining and name == "speech"):
            yield prefix + name
            continue
        for nested in nested_models:
            kind = f"({nested.__name__})" if len(nested_models) > 1 else ""
            if name == "speech" and issubclass(nested, NamedCorpus):
                yield f"{prefix}{name}{kind}"
            else:
                yield from keys_of(nested, f"{prefix}{name}{kind}.")


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        return
    for argument in typing.get_args(annotation):
        yield from _models_in(argument)
