"""What all programs in `scripts/` share: mistakes that a person can mend end in a sentence."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import click

from emoscale.damage import set_aside
from emoscale.errors import DamagedFileError, UserError

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


def shows_sentences(function: Callable[Parameters, Result]) -> Callable[Parameters, Result]:
    """Let a `UserError` end the program with its sentence instead of a traceback.

    In a step of the workflow a damaged file of the study's results is moved aside before.
    """

    @functools.wraps(function)
    def wrapped(*arguments: Parameters.args, **options: Parameters.kwargs) -> Result:
        try:
            return function(*arguments, **options)
        except DamagedFileError as error:
            raise click.ClickException(set_aside(error)) from None
        except UserError as error:
            raise click.ClickException(str(error)) from None

    return wrapped
