"""Grid search over settings: the trials of an experiment."""

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
    """Values of the searched settings."""

    model: Any
    """Settings of the model with these values."""

    training: TrainingSettings
    """Settings of the training with these values."""


def trials_of(
    model: Any, training: TrainingSettings, search: Mapping[str, Sequence[Any]]
) -> list[Trial]:
    """Return the trials of a grid search.

    Parameters
    ----------
    model : ModelSettings
        Settings of the model.
    training : TrainingSettings
        Settings of the training.
    search : Mapping
        Values by key: `model.<setting>` or `training.<setting>`, with further dots for nested
        settings.

    Returns
    -------
    list of Trial
        All combinations of the values; without a search, the settings unchanged.

    Raises
    ------
    ConfigurationError
        For an unknown key, an invalid value, or more than `LARGEST_GRID` combinations.
    """
    size = 1
    for key, values in search.items():
        size *= len(values)
        if not values or len({repr(value) for value in values}) < len(values):
            raise ConfigurationError(f"search.{key} must list one or more different values")
    if size > LARGEST_GRID:
        raise ConfigurationError(
            f"search has {size} combinations, more than {LARGEST_GRID}; list fewer values"
        )
    if "training.normalisation" in search:
        raise ConfigurationError(
            "search.training.normalisation cannot be searched, because all trials read the same "
            "features; give each value an experiment of its own"
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
    parent: Any = settings
    for name in parents:
        parent = parent.get(name) if isinstance(parent, dict) else None
    if not parents or not isinstance(parent, dict) or last not in parent or last == "kind":
        known = [f"{part}.{name}" for part, values in settings.items() for name in values]
        raise ConfigurationError(
            f"search.{key} is no setting of this experiment; choose one of "
            f"{', '.join(name for name in known if not name.endswith('.kind'))}"
        )
    parent[last] = value
