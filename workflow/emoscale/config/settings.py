"""What every part of the configuration has in common: strict, and with no unknown keys."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints

# Names become folders, wildcards and columns: letters, digits, '-' and '_' only.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=64)]


# A representation, or one layer of a layered one: wavlm/6.
Reference = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*(/\d{1,3})?$", max_length=68)
]


def _is_place(path: str) -> str:
    wrong = [character for character in path if not character.isprintable()]
    if wrong:
        raise ValueError(
            f"holds the character {wrong[0]!r}, which cannot be printed; name another path"
        )
    return path


def _is_output(path: str) -> str:
    if "{" in path or "}" in path:
        raise ValueError("holds a brace, which Snakemake takes for a wildcard; name another folder")
    return path


# A file or folder of the user's. It is quoted wherever a shell sees it, so all that can be printed
# may stand in it.
Place = Annotated[str, StringConstraints(min_length=1), AfterValidator(_is_place)]


# A folder whose files rules name.
OutputFolder = Annotated[Place, AfterValidator(_is_output)]


class Settings(BaseModel):
    """A part of the configuration; an unknown key is an error, a value does not change later."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


def reference_parts(reference: str) -> tuple[str, int | None]:
    """Name and layer of what an experiment reads.

    >>> reference_parts("wavlm/6"), reference_parts("mfcc")
    (('wavlm', 6), ('mfcc', None))
    """
    name, _, layer = reference.partition("/")
    return name, int(layer) if layer else None


def is_layered(settings: Any) -> bool:
    """Whether a representation has several layers, which a model weighs unless one is named."""
    return not isinstance(getattr(settings, "layer", 0), int)
