"""What every part of the configuration has in common: strict, and with no unknown keys."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, model_validator
from pydantic_core import PydanticCustomError

# Names become folders, wildcards and columns: letters, digits, '-' and '_' only.
Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=64)]


# A representation, or one layer of a layered one: wavlm/6.
Reference = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*(/\d{1,3})?$", max_length=68)
]


def _is_printable(text: str) -> str:
    wrong = [character for character in text if not character.isprintable()]
    if wrong:
        raise ValueError(f"contains the character {wrong[0]!r}, which cannot be printed")
    return text


# A name for people.
DisplayName = Annotated[
    str, StringConstraints(min_length=1, max_length=64), AfterValidator(_is_printable)
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
UserPath = Annotated[str, StringConstraints(min_length=1), AfterValidator(_is_place)]


# A folder whose files rules name.
OutputFolder = Annotated[UserPath, AfterValidator(_is_output)]


class Settings(BaseModel):
    """Base class of all parts of the configuration: immutable, without unknown keys."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

    renamed: ClassVar[Mapping[str, str]] = {}
    """Keys of earlier versions, and what each is called now."""

    @model_validator(mode="before")
    @classmethod
    def _known_keys(cls, values: Any) -> Any:
        unknown = (
            [key for key in values if key not in cls.model_fields]
            if isinstance(values, dict)
            else []
        )
        if unknown:
            hints = {str(key): cls._hint(str(key)) for key in unknown}
            message = "; ".join(f"unknown key {key}{hint}" for key, hint in hints.items())
            raise PydanticCustomError(
                "unknown_key", "{message}", {"message": message, "key": unknown[0]}
            )
        return values

    @classmethod
    def _hint(cls, key: str) -> str:
        if key in cls.renamed:
            return f", which is now {cls.renamed[key]}"
        near = difflib.get_close_matches(key, cls.model_fields, n=1, cutoff=0.6)
        if near:
            return f"; did you mean {near[0]}?"
        return f"; remove it, or use one of {', '.join(cls.model_fields)}"


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
