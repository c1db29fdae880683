"""Fetched weights for the steps that read them: found again, and put where settings name them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import click

from emoscale.config import parse_settings
from emoscale.config.checkpoints import CheckpointSettings
from emoscale.representations.weights.origin import Origin, read_stamp
from emoscale.runtime.errors import CheckpointError


def find_weights(
    stamps: Sequence[Path], checkpoints: Mapping[str, Any], cache: Path
) -> list[Origin]:
    """Where the weights are that were fetched, with their digests compared once more.

    `stamps` are what fetching wrote; `checkpoints` holds the configuration's settings by name.
    Nothing is downloaded. Raises `CheckpointError` where weights are gone or were changed since.
    """
    # By its name, so that the code that downloads is not counted with what decides the features.
    fetching = importlib.import_module("emoscale.representations.weights.fetching")
    origins = []
    for path in stamps:
        stamp = read_stamp(path)
        settings = checkpoints[stamp.name]
        try:
            origin: Origin = fetching.fetch_checkpoint(stamp.name, settings, cache, offline=True)
        except CheckpointError as error:
            raise CheckpointError(
                f"{error}; to fetch it again, remove {path} and run again"
            ) from None
        if origin.sha256 != stamp.sha256:
            raise CheckpointError(
                f"checkpoints.{stamp.name}: {origin.path} has sha256 {origin.sha256}, and had "
                f"{stamp.sha256} when it was fetched: where it is right as it is now, remove "
                f"{path}, otherwise the weights, and run again"
            )
        origins.append(origin)
    return origins


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
            placed[key] = str(Path(value).expanduser()) if value.startswith("~") else value
            phrases.append(Path(value).name if Path(placed[key]).exists() else value)
    return settings.model_copy(update=placed), ", ".join(phrases)


def checkpoint_options(program: Callable[..., None]) -> Callable[..., None]:
    """Give a program its options for weights; it is told `origins`, where they are.

    It stands below `report_user_errors`: weights that are not there are a `CheckpointError`.
    """

    @click.option(
        "--weights",
        multiple=True,
        type=click.Path(path_type=Path),
        help="What fetch_checkpoint.py wrote of a checkpoint that the settings name.",
    )
    @click.option("--checkpoints", default="{}", help="All of them, as JSON: what is where.")
    @click.option("--cache", default="", type=click.Path(path_type=Path), help="Their cache.")
    @wraps(program)
    def wrapped(weights: tuple[Path, ...], checkpoints: str, cache: Path, **others: Any) -> None:
        known = parse_settings(dict[str, CheckpointSettings], checkpoints, "--checkpoints")
        program(origins=find_weights(weights, known, cache), **others)

    return wrapped
