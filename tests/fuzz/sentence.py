"""Whether a refusal is a sentence: what was written, before it is escaped and shortened."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from emoscale.config.study import Study
from emoscale.runtime.errors import LONGEST_SENTENCE, UserError
from tests.fuzz.damage import HOSTILE_TEXTS

_LONG = 100  # of hostile texts: a message may quote them, and is then shortened where it is shown


def fault_of(error: UserError, place: Path) -> str:
    """What is wrong with a refusal of something in `place`; empty where it is one sentence.

    It has no line breaks or control characters but those of quoted input, is short enough to be
    shown whole, and names a file of `place` or a key of the configuration.
    """
    written, shown = Exception.__str__(error), str(error)
    if re.search(r"[\x00-\x1f\x7f]", shown) or not shown:
        return "shown with control characters"
    for text in HOSTILE_TEXTS:
        if len(text) > _LONG or not text.isprintable():
            written = written.replace(text, "…")
    written = re.sub(r"(.)\1{100,}", "…", written)  # half of such a text
    if _breaks_of_its_own(written, place):
        return "holds line breaks"
    if len(written) > LONGEST_SENTENCE:
        return f"is {len(written)} characters long"
    words = set(re.split(r"[^\w-]+", written))
    files = [path.name for path in place.iterdir()]
    if (
        str(place) in written
        or any(name in written for name in files)
        or words & _keys()
        or "unknown key" in written
    ):
        return ""
    return "names neither file nor key"


def _breaks_of_its_own(written: str, place: Path) -> bool:
    """Whether there are control characters that do not stand so in an input file, as quotes do."""
    inputs = [path.read_bytes() for path in place.rglob("*") if path.is_file()]
    around = {
        written[max(0, found.start() - 1) : found.end() + 1]
        for found in re.finditer(r"[\x00-\x1f\x7f]", written)
    }
    return not all(any(part.encode() in content for content in inputs) for part in around)


@cache
def _keys() -> frozenset[str]:
    """All keys that a configuration may have."""
    keys: set[str] = set()

    def gather(schema: Any) -> None:
        if isinstance(schema, dict):
            keys.update(schema.get("properties", {}))
            for each in schema.values():
                gather(each)
        elif isinstance(schema, list):
            for each in schema:
                gather(each)

    gather(Study.model_json_schema())
    return frozenset(keys)
