"""Base class and common types of the configuration."""

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


def _check_printable(text: str) -> str:
    unprintable = [character for character in text if not character.isprintable()]
    if unprintable:
        raise ValueError(f"contains the character {unprintable[0]!r}, which cannot be printed")
    return text


# A name for people.
DisplayName = Annotated[
    str, StringConstraints(min_length=1, max_length=64), AfterValidator(_check_printable)
]


def _check_path(path: str) -> str:
    unprintable = [character for character in path if not character.isprintable()]
    if unprintable:
        raise ValueError(
            f"contains the character {unprintable[0]!r}, which cannot be printed; rename the path"
        )
    return path


def _check_output(path: str) -> str:
    if "{" in path or "}" in path:
        raise ValueError(
            "contains a brace, which Snakemake reads as a wildcard; name another folder"
        )
    return path


# A file or folder of the user. It is quoted wherever a shell reads it, so it may contain any
# printable character.
UserPath = Annotated[str, StringConstraints(min_length=1), AfterValidator(_check_path)]


# A folder of results: the names of its files are patterns of Snakemake.
OutputFolder = Annotated[UserPath, AfterValidator(_check_output)]


class Settings(BaseModel):
    """Base class of all parts of the configuration: immutable, without unknown keys."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

    renamed: ClassVar[Mapping[str, str]] = {}
    """Keys of earlier versions, and what each is called now."""

    @model_validator(mode="before")
    @classmethod
    def _check_keys(cls, values: Any) -> Any:
        keys = [str(key) for key in values] if isinstance(values, dict) else []
        # pydantic cannot show what is not UTF-8
        unknown = [
            key.encode("utf-8", "backslashreplace").decode()
            for key in keys
            if key not in cls.model_fields
        ]
        if unknown:
            text = "; ".join(f"unknown key {key}{cls._hint(key)}" for key in unknown)
            raise PydanticCustomError("unknown_key", "{text}", {"text": text, "key": unknown[0]})
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
    """Split the reference to a representation into its name and layer.

    Parameters
    ----------
    reference : str
        Such as wavlm or wavlm/6.

    Returns
    -------
    tuple of (str, int or None)
        Name and layer.

    Examples
    --------
    >>> reference_parts("wavlm/6"), reference_parts("mfcc")
    (('wavlm', 6), ('mfcc', None))
    """
    name, _, layer = reference.partition("/")
    return name, int(layer) if layer else None


def is_layered(settings: Any) -> bool:
    """Return whether a representation stores several layers.

    Parameters
    ----------
    settings : RepresentationSettings
        Settings of a representation.

    Returns
    -------
    bool
        A model then weights the layers, unless an experiment names one of them.
    """
    return not isinstance(getattr(settings, "layer", 0), int)
