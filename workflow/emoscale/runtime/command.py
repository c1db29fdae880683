"""What all programs in `scripts/` share: mistakes that a person can mend end in a sentence."""

from __future__ import annotations

import errno
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

from emoscale.runtime.errors import UserError
from emoscale.runtime.files import disk_reason
from emoscale.runtime.memory import explain_out_of_memory

_OFTEN_OTHERWISE = (errno.EACCES, errno.EPERM, errno.EIO)
"""Errors of reading too, where they are no matter of room."""

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def file_option(name: str, about: str | None = None, **more: Any) -> Callable[[Any], Any]:
    """An option that names a file or folder; required unless `more` says otherwise."""
    options = {"required": True, "type": click.Path(path_type=Path), "help": about, **more}
    return click.option(name, **options)


def files_argument(name: str) -> Callable[[Any], Any]:
    """An argument of one file or more."""
    return click.argument(name, nargs=-1, required=True, type=click.Path(path_type=Path))


def computing_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--device` and `--threads`."""
    devices = click.Choice(["auto", "cpu", "cuda"])
    function = click.option("--threads", default=1, show_default=True)(function)
    return click.option("--device", type=devices, default="auto", show_default=True)(function)


corpus_option = click.option("--corpus", required=True, help="The study's `corpus`, as JSON.")
labels_option = click.option("--labels", required=True, help="The study's `labels`, as JSON.")
protocol_option = click.option(
    "--protocol", required=True, help="The study's `protocol` and seed, as JSON."
)


def report_user_errors(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Let a `UserError` end the program with its sentence instead of a traceback.

    In a step of the workflow a damaged file of the study's results is moved aside before. So does
    what a disk or too little memory is the reason of, wherever that shows.
    """

    @functools.wraps(function)
    def wrapped(*arguments: Parameters.args, **options: Parameters.kwargs) -> Result:
        try:
            with explain_out_of_memory("this step"):
                return function(*arguments, **options)
        except UserError as error:
            raise click.ClickException(str(error)) from None
        except OSError as error:
            reason = disk_reason(error)
            if reason is None or error.errno in _OFTEN_OTHERWISE:
                raise
            name = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(f"{name}{reason}, then run again") from None

    return wrapped
