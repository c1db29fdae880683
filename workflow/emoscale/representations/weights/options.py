"""The options of programs that read fetched weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from emoscale.config import parse_settings
from emoscale.config.checkpoints import CheckpointSettings
from emoscale.representations.weights.placing import find_weights


def reads_weights(program: Callable[..., None]) -> Callable[..., None]:
    """Give a program its options for weights; it is told `origins`, where they are.

    It stands below `shows_sentences`: weights that are not there are a `CheckpointError`.
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
