"""A small grid over settings: its trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

from emoscale.config.models import ModelSettings
from emoscale.config.parsing import parse_settings
from emoscale.config.training import TrainingSettings
from emoscale.runtime.errors import ConfigurationError

LARGEST_GRID = 64


@dataclass(frozen=True)
class Trial:
    """One point of the grid."""

    number: int
    """From 0, in the grid's order."""

    choices: dict[str, Any]
    """The settings that are searched, and their values here."""

    model: Any
    """The model's settings with them."""

    training: TrainingSettings
    """The training's settings with them."""


def trials_of(
    model: Any, training: TrainingSettings, search: Mapping[str, Sequence[Any]]
) -> list[Trial]:
    """Every combination of the values in `search`; without any, the settings as they are.

    Keys are `model.<setting>` and `training.<setting>`, with further dots for settings within
    settings. Raises `ConfigurationError` for a key or a value that is none.
    """
    size = 1
    for key, values in search.items():
        size *= len(values)
        if not values or len({repr(value) for value in values}) < len(values):
            raise ConfigurationError(f"search.{key} must list different values, one at least")
    if size > LARGEST_GRID:
        raise ConfigurationError(
            f"search has {size} combinations; {LARGEST_GRID} are the most, so list fewer values"
        )
    trials = []
    for number, values in enumerate(product(*search.values())):
        choices = dict(zip(search, values, strict=True))
        changed = {"model": model.model_dump(), "training": training.model_dump()}
        for key, value in choices.items():
            _set(changed, key, value)
        trials.append(
            Trial(
                number,
                choices,
                parse_settings(ModelSettings, changed["model"], "search: model"),
                parse_settings(TrainingSettings, changed["training"], "search: training"),
            )
        )
    return trials


def _set(settings: dict[str, Any], key: str, value: Any) -> None:
    *parents, last = key.split(".")
    place: Any = settings
    for name in parents:
        place = place.get(name) if isinstance(place, dict) else None
    if not parents or not isinstance(place, dict) or last not in place or last == "kind":
        known = [f"{part}.{name}" for part, values in settings.items() for name in values]
        raise ConfigurationError(
            f"search.{key} is no setting of this experiment; those are "
            f"{', '.join(name for name in known if not name.endswith('.kind'))}"
        )
    place[last] = value
