"""Corpus readers: the common interface, the registry, and normalisation of transcripts."""

from __future__ import annotations

import importlib
import os
import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from emoscale.config.corpus import (
    RELEASES,
    AudformatCorpus,
    CorpusSettings,
    CsvCorpus,
    DemoCorpus,
    ReleaseCorpus,
    SeveralCorpora,
    SingleCorpus,
    generated_part,
    parts_of,
)
from emoscale.runtime.errors import one_line

READERS = {
    "audformat": "emoscale.corpus.audformat_database",
    "csv": "emoscale.corpus.csv_table",
    "demo": "emoscale.corpus.demo",
    "several": "emoscale.corpus.several",
    **{name: f"emoscale.corpus.releases.{name}" for name in RELEASES},
}
"""Module of each reader; it defines `read(settings) -> CorpusManifest`, or `RELEASE` with it."""

_TAG = re.compile(r"\[[^\]]*\]")


@dataclass(frozen=True)
class Utterance:
    """One utterance as the corpus describes it; its audio is checked later."""

    utterance: str
    """Unique key."""
    audio: str
    """Audio file, relative to the corpus root."""
    speaker: str
    emotion: str
    """Label, in the corpus's own terms."""
    start: float | None = None
    """Seconds in the audio file; None: from its beginning."""
    end: float | None = None
    """Seconds in the audio file; None: to its end."""
    sex: str | None = None
    session: str | None = None
    dialog: str | None = None
    style: str | None = None
    valence: float | None = None
    activation: float | None = None
    dominance: float | None = None
    votes: list[dict[str, str]] | None = None
    """Each rater's labels: `rater` and `label`."""
    transcript: str | None = None
    words: list[dict[str, str | float]] | None = None
    """Forced alignment: `word`, and `start` and `end` in seconds from the utterance's start."""
    acted: str | None = None
    """Emotion that the speaker acted, where `emotion` is what listeners perceived."""
    intensity: str | None = None
    """Intensity of the emotion, in the corpus's own terms."""
    split: str | None = None
    """Official split of the corpus: train, dev, test, test1 …"""
    language: str | None = None
    """Language: en, de, zh …"""
    age: float | None = None
    """Age of the speaker, years."""
    corpus: str | None = None
    """Name of the corpus; None: that of the manifest."""
    maximum_seconds: float | None = None
    """A longer recording contains more than the utterance and is rejected; None: any length."""


@dataclass(frozen=True)
class Rejection:
    """An entry of the corpus that is not used, with the reason."""

    file: str
    reason: str
    detail: str
    utterance: str | None = None
    location: str | None = None


@dataclass
class CorpusManifest:
    """The utterances that a reader lists, each key once, and the entries that it rejected."""

    corpus: str
    utterances: list[Utterance] = field(default_factory=list)
    rejected: list[Rejection] = field(default_factory=list)
    _location_of: dict[str, str] = field(default_factory=dict)

    def add(self, utterance: Utterance, file: str, location: str | None = None) -> None:
        """Add an utterance; one whose key is already listed, or whose name is invalid, is rejected.

        Parameters
        ----------
        utterance : Utterance
            The utterance.
        file : str
            The file that lists it, relative to the corpus root.
        location : str or None
            Location in that file, such as the line.
        """
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
        first = self._location_of.get(utterance.utterance)
        if first is not None:
            self.reject(
                file,
                "duplicate key",
                f"{utterance.utterance} is already listed in {first}; the first entry is used",
                utterance=utterance.utterance,
                location=location,
            )
            return
        self._location_of[utterance.utterance] = f"{file}, {location}" if location else file
        self.utterances.append(utterance)

    def reject(
        self,
        file: str,
        reason: str,
        detail: str,
        utterance: str | None = None,
        location: str | None = None,
    ) -> None:
        """Record an entry that is not used.

        Parameters
        ----------
        file : str
            The file, relative to the corpus root.
        reason : str
            Short code of the reason.
        detail : str
            The reason in a sentence.
        utterance : str or None
            Key of the utterance, if known.
        location : str or None
            Location in the file, such as the line.
        """
        names = [text and _printable(text) for text in (file, reason, utterance, location)]
        self.rejected.append(
            Rejection(names[0], names[1], one_line(_printable(detail)), *names[2:])  # type: ignore[arg-type]
        )


def _is_unicode(name: str) -> bool:
    """Whether a file name is text; names from old archives may be bytes in another encoding."""
    return not any("\udc80" <= character <= "\udcff" for character in name)


def _printable(text: str) -> str:
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def read_corpus(settings: CorpusSettings) -> CorpusManifest:
    """Read a corpus with the reader that its settings name.

    Parameters
    ----------
    settings : CorpusSettings
        The corpus of the study.

    Returns
    -------
    CorpusManifest
        Its utterances and rejected entries; no audio is opened.

    Raises
    ------
    CorpusError
        If the corpus root does not contain what the reader expects.
    """
    module = importlib.import_module(READERS[settings.reader])
    reader = module.RELEASE if isinstance(settings, ReleaseCorpus) else module
    read: Callable[[CorpusSettings], CorpusManifest] = reader.read
    return read(settings)


def corpus_name(settings: CorpusSettings) -> str:
    """Return the name of a corpus in tables and figures; of generated speech it says synthetic.

    Parameters
    ----------
    settings : CorpusSettings
        A study's corpus.

    Returns
    -------
    str
        Its `name`, else that of the release, the folder of a csv or audformat corpus, or of several
        corpora the keys under `corpora`; with `label`, where utterances have several.
    """
    match settings:
        case DemoCorpus():
            return f"{settings.name or 'demo'} (synthetic speech)"
        case ReleaseCorpus():
            release = importlib.import_module(READERS[settings.reader]).RELEASE
            name: str = settings.name or release.name
            return f"{name} (labels: {settings.label})" if settings.label else name
        case SeveralCorpora():
            if settings.name:
                partly = " (partly synthetic speech)" if generated_part(settings) else ""
                return f"{settings.name}{partly}"
            return ", ".join(f"{key}{_remark(part)}" for key, part in settings.corpora.items())
        case CsvCorpus() | AudformatCorpus():
            return settings.name or PurePath(settings.root).name or settings.reader


def _remark(corpus: SingleCorpus) -> str:
    """Return what must be said with the name of one of several corpora."""
    if isinstance(corpus, DemoCorpus):
        return " (synthetic speech)"
    label = getattr(corpus, "label", None)
    return f" (labels: {label})" if label else ""


def reader_modules(settings: CorpusSettings) -> list[str]:
    """Return the modules that read a corpus; for several corpora, also those of each one.

    Parameters
    ----------
    settings : CorpusSettings
        The corpus of the study.

    Returns
    -------
    list of str
        Module names, sorted by reader.
    """
    readers = {settings.reader, *(corpus.reader for corpus in parts_of(settings))}
    return [READERS[reader] for reader in sorted(readers)]


def text_key(transcript: str | None) -> str | None:
    """Normalise a transcript, so that utterances with the same words have the same key.

    Tags in brackets, punctuation and case are ignored. Combining marks are kept: the vowel signs of
    Indic and Thai scripts are such marks.

    Parameters
    ----------
    transcript : str or None
        Transcript as the corpus writes it.

    Returns
    -------
    str or None
        The words, lower case; empty without any word; None without a transcript.

    Examples
    --------
    >>> text_key("Excuse me.  [LAUGHTER] Don't!")
    "excuse me don't"
    """
    if transcript is None:
        return None
    text = unicodedata.normalize("NFKC", transcript).casefold().replace("’", "'")
    words = "".join(
        character if character == "'" or _is_part_of_a_word(character) else " "
        for character in _TAG.sub(" ", text)
    ).split()
    # a mark alone is left of a symbol, such as the variation selector of an emoji
    return " ".join(word for word in words if not all(map(_is_mark, word)))


def _is_part_of_a_word(character: str) -> bool:
    return character.isalnum() or _is_mark(character)


def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")


def external_link_target(file: Path, root: Path) -> str | None:
    """Return the target of a file that is a link to a file outside the corpus.

    The root and folders in it may be links, for example to sessions on other disks: the user has
    created those. A single linked file may have come with the corpus.

    Parameters
    ----------
    file : Path
        A file of the corpus.
    root : Path
        The corpus root.

    Returns
    -------
    str or None
        The target; None if `file` is not a link or its target is in the corpus.
    """
    if not os.path.islink(file):  # noqa: PTH114 - False for names that no file system allows
        return None
    target = os.path.realpath(file)
    for folder in file.parents:
        if target.startswith(f"{os.path.realpath(folder)}/"):
            return None
        if folder == root:
            break
    return target
