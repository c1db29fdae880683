"""What every part of the configuration has in common: strict, and with no unknown keys."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

# Names become folders, wildcards and columns: letters, digits, '-' and '_' only.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=64)]


# A representation, or one layer of a layered one: wavlm/6.
Reference = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*(/\d{1,3})?$", max_length=68)
]


class Settings(BaseModel):
    """A part of the configuration; an unknown key is an error, a value does not change later."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )
