"""What the programs about a run share: the options that name a study, and the terminal."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from rich.console import Console

_COLUMNS_OF_A_FILE = 110


def study_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--configfile` and `--config`, which mean what they mean to Snakemake."""
    for option in (
        click.option(
            "--config", multiple=True, metavar="KEY=VALUE", help="Overrides, as Snakemake's."
        ),
        click.option(
            "--configfile",
            multiple=True,
            type=click.Path(exists=True, dir_okay=False, path_type=Path),
            help="The study; without it, the default one.",
        ),
    ):
        function = option(function)
    return function


def terminal() -> Console:
    """Where results are printed; a file or a pipe, which has no width, gets one."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _COLUMNS_OF_A_FILE
    return console
