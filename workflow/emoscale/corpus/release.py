"""Published corpora: what a reader of one declares, and metadata that is in the paths of files."""

from __future__ import annotations

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import zip_longest
from pathlib import Path, PurePosixPath
from typing import Any

from emoscale.audio.containers import LFS_POINTER
from emoscale.config.corpus import ReleaseCorpus
from emoscale.corpus.files import corpus_files
from emoscale.corpus.readers import CorpusManifest, Utterance
from emoscale.runtime.errors import CorpusError
from emoscale.runtime.text_table import parse_table

SEXES = {"f": "F", "female": "F", "m": "M", "male": "M"}
"""Sex in the utterance table by what tables and names have in lower case."""

_DIRECTION = re.compile("[\u200e\u200f]")
_FIELDS = frozenset(each.name for each in fields(Utterance))


@dataclass(frozen=True, kw_only=True)
class Release:
    """A published corpus."""

    name: str
    """Name in tables, figures and the report."""

    layout: str
    """Example of the files that the root contains, for error messages."""

    read_utterances: Callable[[Path, str | None, CorpusManifest], None]
    """Adds the utterances in a folder to a manifest. Its second argument is `corpus.label`."""

    language: str | None = None
    """Language of the utterances that state none: en, de …"""

    style: str | None = None
    """Speaking style of the utterances that state none: improvised, scripted."""

    speakers: int | None = None
    """Speakers of a complete copy; None: unknown."""

    labels: tuple[str, ...] = ()
    """Where utterances have several labels: the values of `corpus.label`."""

    counts: Mapping[str, int] = field(default_factory=dict)
    """Utterances of each emotion in a complete copy; of the acted one, with `labels`; empty:
    unknown."""

    def read(self, settings: ReleaseCorpus) -> CorpusManifest:
        """Read the metadata of a copy; no audio is opened.

        Parameters
        ----------
        settings : ReleaseCorpus
            Root and label of the corpus.

        Returns
        -------
        CorpusManifest
            The utterances, and the entries that are not used. A copy with other counts than the
            complete one is read, and an entry says what is missing.

        Raises
        ------
        CorpusError
            If the root does not exist or has no utterance of this corpus, or `settings.label` is
            missing or not one of `labels`.
        """
        self._check_label(settings.label)
        root = Path(settings.root)
        expected = f"expected files such as {self.layout}; set root to the folder that has them"
        if not os.path.isdir(root):  # noqa: PTH112 - False instead of an error for invalid names
            raise CorpusError(f"{root} does not exist: {expected}")
        manifest = CorpusManifest(settings.reader)
        self.read_utterances(root, settings.label, manifest)
        if not manifest.utterances:
            first = (
                f"; the first reason: {manifest.rejected[0].detail}" if manifest.rejected else ""
            )
            raise CorpusError(f"{root} has no utterance of {self.name}: {expected}{first}")
        manifest.utterances = [
            replace(each, language=each.language or self.language, style=each.style or self.style)
            for each in manifest.utterances
        ]
        self._check_counts(manifest)
        return manifest

    def _check_label(self, label: str | None) -> None:
        known = ", ".join(self.labels)
        if self.labels and label not in self.labels:
            problem = f"is {label}" if label else "is missing"
            raise CorpusError(
                f"corpus.label {problem}: the utterances of {self.name} have several labels; set "
                f"it to one of {known}"
            )
        if not self.labels and label is not None:
            raise CorpusError(
                f"corpus.label is {label}, but the utterances of {self.name} have one label each; "
                "remove it"
            )

    def _check_counts(self, manifest: CorpusManifest) -> None:
        counts = Counter(
            (each.acted if self.labels else None) or each.emotion for each in manifest.utterances
        )
        differing = [
            f"{counts[emotion]:,} of {self.counts.get(emotion, 0):,} {emotion}"
            for emotion in sorted({*counts, *self.counts})
            if counts[emotion] != self.counts.get(emotion, 0)
        ]
        if self.counts and differing:
            manifest.reject(
                ".",
                "other counts",
                f"this copy has {len(manifest.utterances):,} of the {sum(self.counts.values()):,} "
                f"utterances of {self.name}: {', '.join(differing)}",
            )


def read_rows(
    root: Path,
    *names: str,
    columns: Collection[str] = (),
    encoding: str = "utf-8-sig",
    delimiter: str = ",",
) -> list[dict[str, str]]:
    """Read a table of a copy.

    Parameters
    ----------
    root : Path
        The corpus root.
    *names : str
        Paths of the table in the layouts of a copy; the first that exists is read.
    columns : collection of str
        Columns that the table must have.
    encoding : str
        Encoding of the text.
    delimiter : str
        Character between the fields.

    Returns
    -------
    list of dict
        Fields by column, without spaces at both ends; rows without any field are left out.

    Raises
    ------
    CorpusError
        If the table or one of the columns is missing, it is not text in this encoding, or a quote
        is not closed.
    """
    path = first_file(root, *names)
    if path is None:
        raise CorpusError(f"{root} has no table {' or '.join(names)}; copy it from the release")
    text = read_text(path, encoding)
    try:
        table = parse_table(text, path, delimiter)
    except CorpusError as error:
        raise CorpusError(f"{error}, or copy the file again") from None
    if not table.header:
        raise CorpusError(f"{path} is empty; copy it again")
    if missing := [name for name in columns if name not in table.header]:
        raise CorpusError(f"{path} has no column {', '.join(missing)}; copy it from the release")
    columns_count = len(table.header)
    return [
        dict(zip_longest(table.header, fields[:columns_count], fillvalue=""))
        for _, fields in table.rows
    ]


def read_text(path: Path, encoding: str = "utf-8-sig") -> str:
    """Read a text file of a copy.

    Parameters
    ----------
    path : Path
        The file.
    encoding : str
        Encoding of the text.

    Returns
    -------
    str
        The text.

    Raises
    ------
    CorpusError
        If the file cannot be read, is not text in this encoding, or is a Git LFS pointer.
    """
    try:
        text = path.read_text(encoding=encoding)
    except UnicodeDecodeError as error:
        raise CorpusError(f"{path}: byte {error.start} is not {encoding}; copy it again") from None
    except OSError as error:
        raise CorpusError(f"{path} cannot be read: {error.strerror}") from None
    if text.startswith(LFS_POINTER):
        raise CorpusError(f"{path} is a Git LFS pointer, not the file; run git lfs pull there")
    return text


def read_transcripts(root: Path, pattern: str, manifest: CorpusManifest) -> dict[str, str]:
    """Read transcripts that are in one UTF-8 file per recording.

    Parameters
    ----------
    root : Path
        The corpus root.
    pattern : str
        Glob pattern of the end of their paths.
    manifest : CorpusManifest
        Receives the files that cannot be read, and an entry if there is no file at all.

    Returns
    -------
    dict of str to str
        Transcript by the name of the file without suffix, without marks of the writing direction.
    """
    transcripts: dict[str, str] = {}
    files = [file for file in sorted(root.rglob(pattern)) if not file.name.startswith(".")]
    for file in files:
        try:
            transcripts[file.stem] = _DIRECTION.sub("", read_text(file)).strip()
        except CorpusError as error:
            manifest.reject(str(file.relative_to(root)), "unreadable transcript", str(error))
    if not files:
        manifest.reject(pattern, "missing", f"{pattern} is missing: the transcripts are unknown")
    return transcripts


def first_file(root: Path, *names: str) -> Path | None:
    """Return the first of some files that exists.

    Parameters
    ----------
    root : Path
        The corpus root.
    *names : str
        Paths relative to the root.

    Returns
    -------
    Path or None
        The file; None if there is none.
    """
    return next((root / name for name in names if (root / name).is_file()), None)


def vote_count(label: str, text: str) -> int:
    """Return the number of votes that a field of a table states.

    Parameters
    ----------
    label : str
        Label that the votes are for.
    text : str
        The field; empty: no vote.

    Returns
    -------
    int
        Number of votes.

    Raises
    ------
    Unusable
        If the field is not an integer, or has more than four digits.
    """
    problem = f"the number of votes for {label} is {text}"
    if text and not (text.isascii() and text.isdigit()):
        raise Unusable("field not understood", f"{problem}, not an integer")
    if len(text.lstrip("0")) > 4:
        raise Unusable("field not understood", f"{problem}, which are more than raters can give")
    return int(text or 0)


def anonymous_votes(counts: Mapping[str, int]) -> list[dict[str, str]] | None:
    """Return votes of raters that only the number of votes for each label is known of.

    Parameters
    ----------
    counts : mapping of str to int
        Number of votes for each label.

    Returns
    -------
    list of dict or None
        `rater`, a number, and `label`; None without a vote.

    Examples
    --------
    >>> anonymous_votes({"anger": 1, "neutral": 0, "sadness": 1})
    [{'rater': '1', 'label': 'anger'}, {'rater': '2', 'label': 'sadness'}]
    """
    labels = [label for label, count in counts.items() for _ in range(count)]
    return [{"rater": str(n), "label": label} for n, label in enumerate(labels, start=1)] or None


class Unusable(Exception):
    """An entry of a corpus cannot be used.

    Parameters
    ----------
    reason : str
        Short code of the reason.
    detail : str
        The reason in a sentence.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


@dataclass(frozen=True, kw_only=True)
class NamedFiles:
    """Reads a corpus whose metadata is in the paths of its recordings."""

    pattern: str
    """Regular expression of the end of a path without suffix, from the beginning of a file's or
    folder's name. A named group gives the column of the utterance table that it is named after;
    `speaker` and `emotion` are required, here or in `details`."""

    emotions: Mapping[str, str] | None = None
    """Emotion of each value of the group `emotion`; None: the value in lower case."""

    values: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Values of columns by the text of the group, such as the sentence of each number; null for
    another text. Without an entry, a column has the text itself."""

    folders: tuple[str, ...] = ()
    """Folders of the recordings in the layouts of a copy; the first that exists is read, instead of
    the root."""

    key: str = "{stem}"
    """Key of an utterance: a format of the groups, of `stem` (name of the file) and `path`."""

    details: Callable[[Mapping[str, str]], Mapping[str, Any]] | None = None
    """Returns more columns from the groups; raises `Unusable` for an entry to reject."""

    def __call__(self, root: Path, label: str | None, manifest: CorpusManifest) -> None:
        """Add the recordings in a folder to a manifest.

        Parameters
        ----------
        root : Path
            The corpus root.
        label : str or None
            Not used: see `details`.
        manifest : CorpusManifest
            Receives the utterances, and the recordings that are not used.
        """
        pattern = re.compile(rf"(?:^|/)(?:{self.pattern})$")
        folder = next((name for name in self.folders if (root / name).is_dir()), ".")
        for name in corpus_files(root / folder, manifest):
            name = str(PurePosixPath(folder, name))
            path = str(PurePosixPath(name).with_suffix(""))
            match = pattern.search(unicodedata.normalize("NFC", path))
            if match is None:
                manifest.reject(
                    name, "name not understood", f"{name} is not named as the corpus's recordings"
                )
                continue
            parts = {group: text or "" for group, text in match.groupdict().items()}
            parts |= {"path": path, "stem": PurePosixPath(path).name}
            key = self.key.format_map(parts)
            try:
                manifest.add(self._utterance(key, name, parts), name)
            except Unusable as error:
                manifest.reject(name, error.reason, str(error), utterance=key)

    def _utterance(self, key: str, audio: str, parts: Mapping[str, str]) -> Utterance:
        columns: dict[str, Any] = {
            group: self.values[group].get(text) if group in self.values else text
            for group, text in parts.items()
            if group in _FIELDS and text
        }
        if "emotion" in columns:
            columns["emotion"] = self._emotion(audio, columns["emotion"])
        if "sex" in columns:
            columns["sex"] = SEXES.get(columns["sex"].lower())
        if self.details is not None:
            columns |= self.details(parts)
        return Utterance(utterance=key, audio=audio, **columns)

    def _emotion(self, audio: str, text: str) -> str:
        if self.emotions is None:
            return text.lower()
        if text not in self.emotions:
            raise Unusable(
                "unknown label",
                f"{audio} has the label {text}; known labels: {', '.join(self.emotions)}",
            )
        return self.emotions[text]
