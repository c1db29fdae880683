"""What an experiment reads: a representation, or a layer of one."""

from __future__ import annotations

from typing import Any


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
