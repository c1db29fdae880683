"""Reader for IEMOCAP, as released by the University of Southern California (Busso et al. 2008).

Labels are read from `dialog/EmoEvaluation/<dialog>.txt`, transcripts from `dialog/transcriptions/`,
audio from `sentences/wav/`, and word times from `sentences/ForcedAlignment/` if present. Files of
individual raters, `._` files and all other files are ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from emoscale.corpus.iemocap_alignment import AlignmentError, read_word_segments
from emoscale.corpus.readers import CorpusManifest, Utterance, external_link_target
from emoscale.corpus.release import Release
from emoscale.runtime.errors import CorpusError

EMOTIONS = frozenset(["neu", "hap", "exc", "ang", "sad", "fru", "fea", "sur", "dis", "oth", "xxx"])
"""Consensus labels; xxx: no agreement between the raters."""

UTTERANCE_NAME = re.compile(
    r"^(?P<dialog>(?P<session>Ses0[1-9])[FM]_(?P<style>impro|script)\w+)_(?P<sex>[FM])\d{3}$"
)
"""The last F or M is the speaker's sex; the first is that of the actor with the motion markers."""

VOTE_CODES = {
    "neutral": "neu",
    "happiness": "hap",
    "excited": "exc",
    "anger": "ang",
    "sadness": "sad",
    "frustration": "fru",
    "fear": "fea",
    "surprise": "sur",
    "disgust": "dis",
    "other": "oth",
}
"""Code of the consensus labels for each label of the raters (capitalised in label files)."""

_LABEL = re.compile(
    r"^\[(?P<start>[\d.]+) - (?P<end>[\d.]+)\]\t(?P<utterance>\S+)\t(?P<emotion>\S+)"
    r"\t\[(?P<ratings>[^\]]*)\]\s*$"
)
_VOTE = re.compile(r"^C-(?P<rater>\w+):\s*(?P<labels>[^()]*)")
_TRANSCRIPT = re.compile(r"^(?P<utterance>\S+) \[\d+(?:\.\d+)?-\d+(?:\.\d+)?\]: ?(?P<text>.*)$")
_STYLES = {"impro": "improvised", "script": "scripted"}


@dataclass
class _Label:
    emotion: str
    location: str
    ratings: tuple[float | None, float | None, float | None]
    votes: list[dict[str, str]] = field(default_factory=list)


def read_sessions(root: Path, label: str | None, manifest: CorpusManifest) -> None:
    """Read the labels, transcripts and word times of the release.

    Parameters
    ----------
    root : Path
        The corpus root.
    label : str or None
        Not used.
    manifest : CorpusManifest
        Receives one utterance per label; entries without a valid label are rejected.

    Raises
    ------
    CorpusError
        If the root is not an IEMOCAP release, or no label is valid.
    """
    for session in session_folders(release_root(root)):
        _read_session(root, session, manifest)
    if not manifest.utterances:
        raise CorpusError(
            f"{root}: no valid label in Session*/dialog/EmoEvaluation/*.txt; the copy "
            "seems to be incomplete"
        )


def release_root(root: Path) -> Path:
    """Return the folder that contains the sessions.

    Parameters
    ----------
    root : Path
        The corpus root: that folder or its parent.

    Returns
    -------
    Path
        `root`, or its `IEMOCAP_full_release` folder.

    Raises
    ------
    CorpusError
        If neither contains a session.
    """
    for candidate in (root, root / "IEMOCAP_full_release"):
        if any(candidate.glob("Session[1-9]/dialog/EmoEvaluation")):
            return candidate
    state = "is not an IEMOCAP release" if root.is_dir() else "does not exist"
    raise CorpusError(
        f"{root} {state}: expected Session1/dialog/EmoEvaluation in it or in its "
        "IEMOCAP_full_release folder; set corpus.root to the folder that contains Session1 to "
        "Session5"
    )


def session_folders(root: Path) -> list[Path]:
    """Return the available sessions, complete or not.

    Parameters
    ----------
    root : Path
        The folder that contains the sessions.

    Returns
    -------
    list of Path
        Folders, sorted by name.
    """
    return sorted(folder for folder in root.glob("Session[1-9]") if folder.is_dir())


def _read_session(root: Path, session: Path, manifest: CorpusManifest) -> None:
    for subfolder in (session / "dialog" / "EmoEvaluation", session / "dialog" / "transcriptions"):
        if not subfolder.is_dir():
            manifest.reject(
                str(subfolder.relative_to(root)),
                "missing",
                f"{session.name} has no folder dialog/{subfolder.name}; its labels or transcripts "
                "are missing",
            )
    transcripts, unlabelled = _read_transcripts(root, session, manifest)
    labelled: set[str] = set()
    for file in _text_files(session / "dialog" / "EmoEvaluation", root, manifest):
        name = str(file.relative_to(root))
        for utterance, label in _read_labels(file, name, manifest):
            labelled.add(utterance)
            match = UTTERANCE_NAME.match(utterance)
            if match is None:
                manifest.reject(
                    name,
                    "name not understood",
                    f"{utterance} is not an utterance name of the release",
                    utterance=utterance,
                    location=label.location,
                )
                continue
            if label.emotion not in EMOTIONS:
                manifest.reject(
                    name,
                    "unknown label",
                    f"{utterance} has the label {label.emotion}; "
                    f"known labels: {', '.join(sorted(EMOTIONS))}",
                    utterance=utterance,
                    location=label.location,
                )
                continue
            folder = session / "sentences"
            valence, activation, dominance = label.ratings
            manifest.add(
                Utterance(
                    utterance=utterance,
                    audio=str(
                        (folder / "wav" / match["dialog"] / f"{utterance}.wav").relative_to(root)
                    ),
                    speaker=match["session"] + match["sex"],
                    sex=match["sex"],
                    session=match["session"],
                    dialog=match["dialog"],
                    style=_STYLES[match["style"]],
                    emotion=label.emotion,
                    valence=valence,
                    activation=activation,
                    dominance=dominance,
                    votes=label.votes,
                    transcript=transcripts.get(utterance),
                    words=_read_word_times(root, folder, match["dialog"], utterance, manifest),
                ),
                name,
                label.location,
            )
    for utterance, (file_name, location) in unlabelled.items():
        if utterance not in labelled:
            manifest.reject(
                file_name,
                "no label",
                f"{utterance} has a transcript and no label",
                utterance=utterance,
                location=location,
            )
    _reject_unlabelled_audio(root, session, labelled | unlabelled.keys(), manifest)


def _read_labels(file: Path, name: str, manifest: CorpusManifest) -> Iterator[tuple[str, _Label]]:
    """Yield each utterance with its label and its votes, as codes of the consensus labels.

    A block of an utterance begins with '[' and varies in length. Votes are those of observers
    (E1, E2 …) and of the speaker (F1 or M1).
    """
    utterance, current = "", None
    for number, line in enumerate(_lines(file), start=1):
        if line.startswith("["):
            if current is not None:
                yield utterance, current
            current = None
            match = _LABEL.match(line)
            if match is None:
                manifest.reject(
                    name,
                    "label not understood",
                    f"not '[start - end] <tab> name <tab> label <tab> [v, a, d]': {line}",
                    location=f"line {number}",
                )
                continue
            utterance = match["utterance"]
            current = _Label(match["emotion"], f"line {number}", _ratings(match["ratings"]))
        elif current is not None and (vote := _VOTE.match(line)):
            for label in filter(None, map(str.strip, vote["labels"].split(";"))):
                code = VOTE_CODES.get(label.lower())
                if code is None:
                    manifest.reject(
                        name,
                        "unknown vote",
                        f"{vote['rater']} voted {label}, which is not one of "
                        f"{', '.join(VOTE_CODES)}; the vote is stored unchanged and counts for no "
                        "class",
                        utterance=utterance,
                        location=f"line {number}",
                    )
                current.votes.append({"rater": vote["rater"], "label": code or label})
    if current is not None:
        yield utterance, current


def _ratings(text: str) -> tuple[float | None, float | None, float | None]:
    """Valence, activation, dominance; None for a value outside the scale from 1 to 5."""
    values: list[float | None] = []
    for field_text in text.split(","):
        try:
            value = float(field_text)
        except ValueError:
            value = float("nan")
        values.append(value if 1.0 <= value <= 5.0 else None)
    return (values[0], values[1], values[2]) if len(values) == 3 else (None, None, None)


def _read_transcripts(
    root: Path, session: Path, manifest: CorpusManifest
) -> tuple[dict[str, str], dict[str, tuple[str, str]]]:
    """Transcript and location of each utterance; other lines are rejected."""
    texts: dict[str, str] = {}
    locations: dict[str, tuple[str, str]] = {}
    for file in _text_files(session / "dialog" / "transcriptions", root, manifest):
        name = str(file.relative_to(root))
        for number, line in enumerate(_lines(file), start=1):
            if not line.strip():
                continue
            match = _TRANSCRIPT.match(line)
            if match is None:
                manifest.reject(
                    name,
                    "not an utterance",
                    f"the line is not 'name [start-end]: text': {line}",
                    location=f"line {number}",
                )
                continue
            utterance, text = match["utterance"], match["text"].strip()
            if texts.setdefault(utterance, text) != text:
                manifest.reject(
                    name,
                    "duplicate transcript",
                    f"{utterance} has a different transcript in "
                    f"{', '.join(locations[utterance])}, which is used",
                    utterance=utterance,
                    location=f"line {number}",
                )
            locations.setdefault(utterance, (name, f"line {number}"))
    return texts, locations


def _read_word_times(
    root: Path, folder: Path, dialog: str, utterance: str, manifest: CorpusManifest
) -> list[dict[str, str | float]] | None:
    path = folder / "ForcedAlignment" / dialog / f"{utterance}.wdseg"
    if not _is_within(path, root, manifest):
        return None
    try:
        return read_word_segments(_lines(path))
    except FileNotFoundError:
        return None
    except AlignmentError as error:
        manifest.reject(
            str(path.relative_to(root)),
            "alignment not understood",
            f"{error}; the utterance is used without word times",
            utterance=utterance,
            location=error.location,
        )
        return None


def _reject_unlabelled_audio(
    root: Path, session: Path, known: set[str], manifest: CorpusManifest
) -> None:
    for file in sorted((session / "sentences" / "wav").glob("*/*.wav")):
        if not file.name.startswith("._") and file.stem not in known:
            manifest.reject(
                str(file.relative_to(root)),
                "no label",
                f"{file.stem} has a recording and no label",
                utterance=file.stem,
            )


def _text_files(folder: Path, root: Path, manifest: CorpusManifest) -> list[Path]:
    """Text files directly in a folder (subfolders have individual raters), without `._` files."""
    files = sorted(
        file for file in folder.glob("*.txt") if file.is_file() and not file.name.startswith("._")
    )
    return [file for file in files if _is_within(file, root, manifest)]


def _is_within(file: Path, root: Path, manifest: CorpusManifest) -> bool:
    """Whether a file is part of the corpus; a link to an external file is rejected."""
    target = external_link_target(file, root)
    if target is not None:
        manifest.reject(
            str(file.relative_to(root)),
            "outside the corpus",
            f"is a link to {target}, outside the corpus; copy the file",
        )
    return target is None


def _lines(file: Path) -> list[str]:
    """Lines of a text file with any line ends; a file that is not UTF-8 is read as Latin-1."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CorpusError(f"{file} cannot be read: {error.strerror}") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return [line.rstrip("\r") for line in text.split("\n")]


RELEASE = Release(
    name="IEMOCAP",
    layout="Session1/dialog/EmoEvaluation/Ses01F_impro01.txt",
    language="en",
    speakers=10,
    read_utterances=read_sessions,
)
