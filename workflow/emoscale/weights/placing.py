"""Puts the place of fetched weights where a representation's settings name them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emoscale.weights.origin import Origin


def place_weights(settings: Any, origins: Sequence[Origin]) -> tuple[Any, str]:
    """The settings with paths instead of names of checkpoints, and where all weights come from.

    What no origin is named like is a path, or the name of a model on the hub, already. The phrase
    is empty where the representation has no weights.
    """
    known = {origin.name: origin for origin in origins}
    placed: dict[str, str] = {}
    phrases: list[str] = []
    for key in getattr(settings, "checkpoint_keys", ()):
        value = getattr(settings, key)
        if value in known:
            placed[key] = str(known[value].path)
            phrases.append(known[value].weights)
        else:
            phrases.append(Path(value).name if Path(value).exists() else value)
    return settings.model_copy(update=placed), ", ".join(phrases)
