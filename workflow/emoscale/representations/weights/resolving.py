"""Resolution of checkpoint names in settings to the local paths of fetched weights."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any

import click

from emoscale.config import parse_settings
from emoscale.config.checkpoints import CheckpointSettings
from emoscale.config.pretraining import PretrainingSettings
from emoscale.config.representations import expand_home
from emoscale.representations.weights.local_checkpoint import (
    LocalCheckpoint,
    pretrained_checkpoint,
    read_checkpoint_record,
)
from emoscale.runtime.errors import CheckpointError


def find_checkpoints(
    records: Sequence[Path], settings: Mapping[str, Any], cache: Path
) -> list[LocalCheckpoint]:
    """Find fetched and pre-trained checkpoints, and compare their digests with the records.

    Nothing is downloaded.

    Parameters
    ----------
    records : sequence of Path
        Files that `write_checkpoint_record` wrote.
    settings : mapping of str to CheckpointSettings
        The configuration's `checkpoints`, by name.
    cache : Path
        Folder of the cache.

    Returns
    -------
    list of LocalCheckpoint
        One per record, in order.

    Raises
    ------
    CheckpointError
        If weights are missing or were changed after they were fetched.
    """
    # Imported by name, so that the code of downloads is not part of the digest of the code that
    # computes features.
    fetching = importlib.import_module("emoscale.representations.weights.fetching")
    checkpoints = []
    for path in records:
        record = read_checkpoint_record(path)
        source = settings[record.name]
        try:
            checkpoint: LocalCheckpoint = (
                pretrained_checkpoint(path, record, source.weights)
                if isinstance(source, PretrainingSettings)
                else fetching.fetch_checkpoint(record.name, source, cache, offline=True)
            )
        except CheckpointError as error:
            raise CheckpointError(
                f"{error}; to make it again, remove {path} and run again"
            ) from None
        if checkpoint.sha256 != record.sha256:
            raise CheckpointError(
                f"checkpoints.{record.name}: {checkpoint.path} has sha256 {checkpoint.sha256}, but "
                f"had {record.sha256} when it was made or fetched; if its present content is "
                f"correct, remove {path}, otherwise remove the weights, and run again"
            )
        checkpoints.append(checkpoint)
    return checkpoints


def resolve_checkpoints(settings: Any, checkpoints: Sequence[LocalCheckpoint]) -> tuple[Any, str]:
    """Replace the names of checkpoints in a representation's settings by local paths.

    A value that is not the name of one of `checkpoints` is already a path, or the name of a model
    on the Hugging Face hub.

    Parameters
    ----------
    settings : Settings
        Settings of a representation; their `checkpoint_keys` list the fields to resolve.
    checkpoints : sequence of LocalCheckpoint
        Checkpoints on this machine.

    Returns
    -------
    resolved : Settings
        A copy of the settings with paths.
    pretrained_weights : str
        Description of all weights for tables; empty if the representation has none.
    """
    by_name = {checkpoint.name: checkpoint for checkpoint in checkpoints}
    paths: dict[str, str] = {}
    descriptions: list[str] = []
    for key in getattr(settings, "checkpoint_keys", ()):
        value = getattr(settings, key)
        if value in by_name:
            paths[key] = str(by_name[value].path)
            descriptions.append(by_name[value].pretrained_weights)
        else:
            paths[key] = expand_home(value)
            descriptions.append(Path(value).name if Path(paths[key]).exists() else value)
    return settings.model_copy(update=paths), ", ".join(descriptions)


def checkpoint_options(program: Callable[..., None]) -> Callable[..., None]:
    """Add the options that locate pre-trained weights to a program.

    The program receives the argument `checkpoints`, a list of `LocalCheckpoint`. Apply this
    decorator below `report_user_errors`, because missing weights raise a `CheckpointError`.

    Parameters
    ----------
    program : callable
        A click command's function.

    Returns
    -------
    callable
        The decorated function.
    """

    @click.option(
        "--weights",
        multiple=True,
        type=click.Path(path_type=Path),
        help="Record that fetch_checkpoint.py wrote for a checkpoint named in the settings.",
    )
    @click.option(
        "--checkpoints", default="{}", help="The configuration's checkpoints by name, as JSON."
    )
    @click.option(
        "--cache", default="", type=click.Path(path_type=Path), help="Folder of the cache."
    )
    @wraps(program)
    def wrapped(weights: tuple[Path, ...], checkpoints: str, cache: Path, **options: Any) -> None:
        settings = parse_settings(dict[str, CheckpointSettings], checkpoints, "--checkpoints")
        program(checkpoints=find_checkpoints(weights, settings, cache), **options)

    return wrapped
