"""The contract of a corpus reader, and the readers there are."""

from __future__ import annotations

import importlib
import os
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from emoscale.config.corpus import CorpusSettings, parts_of
from emoscale.runtime.errors import one_line

READERS = {
    "iemocap": "emoscale.corpus.iemocap",
    "emodb": "emoscale.corpus.emodb",
    "csv": "emoscale.corpus.csv_table",
    "demo": "emoscale.corpus.demo",
    "several": "emoscale.corpus.several",
}
"""Module of each reader; it has `read(settings) -> Reading`."""

_TAG = re.compile(r"\[[^\]]*\]")
_NOT_A_WORD = re.compile(r"[^\w' ]+")


@dataclass(frozen=True)
class Utterance:
    """What a reader says of one utterance; the audio itself is checked later."""

    utterance: str
    audio: str
    speaker: str
    emotion: str
    start: float | None = None
    end: float | None = None
    sex: str | None = None
    session: str | None = None
    dialog: str | None = None
    style: str | None = None
    valence: float | None = None
    activation: float | None = None
    dominance: float | None = None
    votes: list[dict[str, str]] | None = None
    transcript: str | None = None
    words: list[dict[str, str | float]] | None = None
    corpus: str | None = None  # where it is not the reading's own


@dataclass(frozen=True)
class Rejected:
    """Something of the corpus that was left out."""

    file: str
    reason: str
    detail: str
    utterance: str | None = None
    location: str | None = None


@dataclass
class Reading:
    """Everything that a reader found: each utterance once, and what it left out."""

    corpus: str
    utterances: list[Utterance] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    _location_of: dict[str, str] = field(default_factory=dict)

    def add(self, utterance: Utterance, file: str, location: str | None = None) -> None:
        """Add an utterance that stands in `file`; a second one of the same key is rejected."""
        if "\0" in utterance.audio + utterance.utterance:
            self.reject(
                file, "name not understood", "the row has a zero byte in a name", location=location
            )
            return
        if not _is_unicode(utterance.audio + utterance.utterance):
            self.reject(
                file, "name not understood", f"the name {utterance.audio} is not UTF-8; rename it"
            )
            return
        here = f"{file}, {location}" if location else file
        first = self._location_of.get(utterance.utterance)
        if first is not None:
            self.reject(
                file,
                "duplicate key",
                f"{utterance.utterance} was already found in {first}; the first one is kept",
                utterance=utterance.utterance,
                location=location,
            )
            return
        self._location_of[utterance.utterance] = here
        self.utterances.append(utterance)

    def reject(
        self,
        file: str,
        reason: str,
        detail: str,
        utterance: str | None = None,
        location: str | None = None,
    ) -> None:
        """Note that something was left out."""
        names = [text and _printable(text) for text in (file, reason, utterance, location)]
        self.rejected.append(
            Rejected(names[0], names[1], one_line(_printable(detail)), *names[2:])  # type: ignore[arg-type]
        )


def _is_unicode(name: str) -> bool:
    """Whether a file name is text; names from old archives may be bytes in another encoding."""
    return not any("\udc80" <= character <= "\udcff" for character in name)


def _printable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def read_corpus(settings: CorpusSettings) -> Reading:
    """Read a corpus with the reader that its settings name.

    Raises `CorpusError` where the corpus root is not what the reader expects.
    """
    read: Callable[[CorpusSettings], Reading] = importlib.import_module(
        READERS[settings.reader]
    ).read
    return read(settings)


def modules_of(settings: CorpusSettings) -> list[str]:
    """Modules that read a corpus: of several corpora, each one's reader as well."""
    readers = {settings.reader, *(part.reader for part in parts_of(settings))}
    return [READERS[reader] for reader in sorted(readers)]


def text_key(transcript: str | None) -> str | None:
    """Normalised transcript: two utterances with the same words have the same key.

    Tags in brackets, punctuation and case do not count; without any word the key is empty.

    >>> text_key("Excuse me.  [LAUGHTER] Don't!")
    "excuse me don't"
    """
    if transcript is None:
        return None
    text = unicodedata.normalize("NFKC", transcript).casefold().replace("’", "'")
    return " ".join(_NOT_A_WORD.sub(" ", _TAG.sub(" ", text)).replace("_", " ").split())


def target_outside(file: Path, root: Path) -> str | None:
    """Where `file` leads, if it is a link to a file outside the corpus; None for all others.

    The root itself and folders in it may be links, as where sessions lie on other disks: those are
    laid by the user. A single file that is one may have come with the corpus.
    """
    if not os.path.islink(file):  # noqa: PTH114 - says no to names that no file system knows
        return None
    target = os.path.realpath(file)
    for folder in file.parents:
        if target.startswith(f"{os.path.realpath(folder)}/"):
            return None
        if folder == root:
            break
    return target
