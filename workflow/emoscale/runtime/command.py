"""Options that the programs in `scripts/` share, and the report of errors that a user can fix."""

from __future__ import annotations

import errno
import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

from emoscale.runtime.errors import UserError
from emoscale.runtime.files import disk_error_message
from emoscale.runtime.memory import explain_out_of_memory

_AMBIGUOUS = (errno.EACCES, errno.EPERM, errno.EIO)
"""Errors that reading raises too, so that a full disk need not be the cause."""

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def file_option(name: str, description: str | None = None, **options: Any) -> Callable[[Any], Any]:
    """Return the decorator of an option whose value is the path of a file or folder.

    Parameters
    ----------
    name : str
        The option, such as "--output".
    description : str or None
        Help text.
    **options : Any
        Further arguments of `click.option`; the option is required by default.

    Returns
    -------
    callable
        A decorator for click commands.
    """
    defaults = {"required": True, "type": click.Path(path_type=Path), "help": description}
    return click.option(name, **{**defaults, **options})


def files_argument(name: str) -> Callable[[Any], Any]:
    """Return the decorator of an argument that takes one or more paths.

    Parameters
    ----------
    name : str
        Name of the argument.

    Returns
    -------
    callable
        A decorator for click commands.
    """
    return click.argument(name, nargs=-1, required=True, type=click.Path(path_type=Path))


def computing_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options `--device` and `--threads` to a program.

    Parameters
    ----------
    function : callable
        A click command's function with the parameters `device` and `threads`.

    Returns
    -------
    callable
        The decorated function.
    """
    devices = click.Choice(["auto", "cpu", "cuda"])
    function = click.option("--threads", default=1, show_default=True)(function)
    return click.option("--device", type=devices, default="auto", show_default=True)(function)


def json_option(name: str, description: str) -> Callable[[Any], Any]:
    """Return the decorator of an option whose value is JSON, or `-`: read from standard input.

    A rule passes settings that grow with the study through standard input, because Linux limits an
    argument to 128 KiB.

    Parameters
    ----------
    name : str
        The option, such as "--settings".
    description : str
        Help text.

    Returns
    -------
    callable
        A decorator for click commands.
    """

    def read(context: click.Context, parameter: click.Parameter, value: str) -> str:
        return sys.stdin.read() if value == "-" else value

    return click.option(name, required=True, callback=read, help=f"{description} -: from stdin.")


corpus_option = click.option("--corpus", required=True, help="The study's `corpus`, as JSON.")
labels_option = click.option("--labels", required=True, help="The study's `labels`, as JSON.")
protocol_option = click.option(
    "--protocol", required=True, help="The study's `protocol` and seed, as JSON."
)


def report_user_errors(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Decorate a program so that errors which the user can fix end it with a one-line message.

    These are `UserError`, and errors that insufficient memory or a full disk causes; all others
    show their traceback.

    Parameters
    ----------
    function : callable
        The program.

    Returns
    -------
    callable
        The decorated program, which raises `click.ClickException`.
    """

    @functools.wraps(function)
    def wrapped(*arguments: Parameters.args, **options: Parameters.kwargs) -> Result:
        try:
            with explain_out_of_memory("this step"):
                return function(*arguments, **options)
        except UserError as error:
            raise click.ClickException(str(error)) from None
        except OSError as error:
            reason = disk_error_message(error)
            if reason is None or error.errno in _AMBIGUOUS:
                raise
            name = f"{error.filename}: " if error.filename else ""
            raise click.ClickException(f"{name}{reason}, then run again") from None

    return wrapped
