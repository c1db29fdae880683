"""IEMOCAP: the release as the University of Southern California sends it (Busso et al. 2008).

Labels come from `dialog/EmoEvaluation/<dialog>.txt`, text from `dialog/transcriptions/`, audio
from `sentences/wav/`, word times from `sentences/ForcedAlignment/` where a copy has them. Files of
single raters, `._` files and everything else of the release are not read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from emoscale.config.corpus import DemoCorpus, IemocapCorpus
from emoscale.corpus.iemocap_alignment import AlignmentError, read_word_segments
from emoscale.corpus.reading import Reading, Utterance, target_outside
from emoscale.runtime.errors import CorpusError

EMOTIONS = frozenset(["neu", "hap", "exc", "ang", "sad", "fru", "fea", "sur", "dis", "oth", "xxx"])
"""Consensus labels; xxx: the raters did not agree."""

UTTERANCE = re.compile(
    r"^(?P<dialog>(?P<session>Ses0[1-9])[FM]_(?P<style>impro|script)\w+)_(?P<sex>[FM])\d{3}$"
)
"""The speaker is the LAST letter: the first says who wore the markers."""

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
"""The raters' words, which label files write with a capital, and the consensus's codes for them."""

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


def read(settings: IemocapCorpus | DemoCorpus) -> Reading:
    """Every labelled utterance of the release; raises `CorpusError` where there is none."""
    root = Path(settings.root)
    reading = Reading(settings.reader)
    for session in session_folders(release_root(root)):
        _read_session(root, session, reading)
    if not reading.utterances:
        raise CorpusError(
            f"{root}: no label was found in Session*/dialog/EmoEvaluation/*.txt; "
            "the copy seems to be incomplete"
        )
    return reading


def release_root(root: Path) -> Path:
    """The folder that holds the sessions; raises `CorpusError` where it is not to be found."""
    for candidate in (root, root / "IEMOCAP_full_release"):
        if any(candidate.glob("Session[1-9]/dialog/EmoEvaluation")):
            return candidate
    state = "is not an IEMOCAP release" if root.is_dir() else "does not exist"
    raise CorpusError(
        f"{root} {state}: looked for Session1/dialog/EmoEvaluation in it and in its "
        "IEMOCAP_full_release folder; set corpus.root to the folder that holds Session1 to Session5"
    )


def session_folders(root: Path) -> list[Path]:
    """The release's sessions that are there, whole or not."""
    return sorted(folder for folder in root.glob("Session[1-9]") if folder.is_dir())


def _read_session(root: Path, session: Path, reading: Reading) -> None:
    for part in ("EmoEvaluation", "transcriptions"):
        if not (session / "dialog" / part).is_dir():
            reading.reject(
                str((session / "dialog" / part).relative_to(root)),
                "missing",
                f"{session.name} has no folder dialog/{part}; its labels or texts are lost",
            )
    transcripts, unlabelled = _read_transcripts(root, session, reading)
    labelled: set[str] = set()
    for file in _texts(session / "dialog" / "EmoEvaluation", root, reading):
        name = str(file.relative_to(root))
        for utterance, label in _read_labels(file, name, reading):
            labelled.add(utterance)
            match = UTTERANCE.match(utterance)
            if match is None:
                reading.reject(
                    name,
                    "name not understood",
                    f"{utterance} is not an utterance name of the release",
                    utterance=utterance,
                    location=label.location,
                )
                continue
            if label.emotion not in EMOTIONS:
                reading.reject(
                    name,
                    "unknown label",
                    f"{utterance} has the label {label.emotion}; "
                    f"known are {', '.join(sorted(EMOTIONS))}",
                    utterance=utterance,
                    location=label.location,
                )
                continue
            folder = session / "sentences"
            valence, activation, dominance = label.ratings
            reading.add(
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
                    words=_read_words(root, folder, match["dialog"], utterance, reading),
                ),
                name,
                label.location,
            )
    for utterance, (file_name, location) in unlabelled.items():
        if utterance not in labelled:
            reading.reject(
                file_name,
                "no label",
                f"{utterance} has a transcript and no label",
                utterance=utterance,
                location=location,
            )
    _reject_unlabelled_audio(root, session, labelled | unlabelled.keys(), reading)


def _read_labels(file: Path, name: str, reading: Reading) -> Iterator[tuple[str, _Label]]:
    """Each label line with the votes below it, in codes; blocks vary in length: a '[' begins one.

    Votes are those of observers (E1, E2 …) and of the speaker (F1 or M1).
    """
    utterance, current = "", None
    for number, line in enumerate(_lines(file), start=1):
        if line.startswith("["):
            if current is not None:
                yield utterance, current
            current = None
            match = _LABEL.match(line)
            if match is None:
                reading.reject(
                    name,
                    "label not understood",
                    f"not '[start - end] <tab> name <tab> label <tab> [v, a, d]': {line}",
                    location=f"line {number}",
                )
                continue
            utterance = match["utterance"]
            current = _Label(match["emotion"], f"line {number}", _ratings(match["ratings"]))
        elif current is not None and (vote := _VOTE.match(line)):
            for word in filter(None, map(str.strip, vote["labels"].split(";"))):
                code = VOTE_CODES.get(word.lower())
                if code is None:
                    reading.reject(
                        name,
                        "unknown vote",
                        f"{vote['rater']} voted {word}, which is none of "
                        f"{', '.join(VOTE_CODES)}; the vote is kept as written and is for no class",
                        utterance=utterance,
                        location=f"line {number}",
                    )
                current.votes.append({"rater": vote["rater"], "label": code or word})
    if current is not None:
        yield utterance, current


def _ratings(text: str) -> tuple[float | None, float | None, float | None]:
    """Valence, activation, dominance; null where there is no value on the scale from 1 to 5."""
    values: list[float | None] = []
    for part in text.split(","):
        try:
            value = float(part)
        except ValueError:
            value = float("nan")
        values.append(value if 1.0 <= value <= 5.0 else None)
    return (values[0], values[1], values[2]) if len(values) == 3 else (None, None, None)


def _read_transcripts(
    root: Path, session: Path, reading: Reading
) -> tuple[dict[str, str], dict[str, tuple[str, str]]]:
    """Text of each utterance, and the location of each; lines that are no utterance are rejected."""
    texts: dict[str, str] = {}
    locations: dict[str, tuple[str, str]] = {}
    for file in _texts(session / "dialog" / "transcriptions", root, reading):
        name = str(file.relative_to(root))
        for number, line in enumerate(_lines(file), start=1):
            if not line.strip():
                continue
            match = _TRANSCRIPT.match(line)
            if match is None:
                reading.reject(
                    name,
                    "not an utterance",
                    f"the line has no utterance: {line}",
                    location=f"line {number}",
                )
                continue
            utterance, text = match["utterance"], match["text"].strip()
            if texts.setdefault(utterance, text) != text:
                reading.reject(
                    name,
                    "duplicate transcript",
                    f"{utterance} has other words in {', '.join(locations[utterance])}, kept",
                    utterance=utterance,
                    location=f"line {number}",
                )
            locations.setdefault(utterance, (name, f"line {number}"))
    return texts, locations


def _read_words(
    root: Path, folder: Path, dialog: str, utterance: str, reading: Reading
) -> list[dict[str, str | float]] | None:
    path = folder / "ForcedAlignment" / dialog / f"{utterance}.wdseg"
    if not _is_within(path, root, reading):
        return None
    try:
        return read_word_segments(_lines(path))
    except FileNotFoundError:
        return None
    except AlignmentError as error:
        reading.reject(
            str(path.relative_to(root)),
            "alignment not understood",
            f"{error}; the utterance is kept without word times",
            utterance=utterance,
            location=error.location,
        )
        return None


def _reject_unlabelled_audio(root: Path, session: Path, known: set[str], reading: Reading) -> None:
    for file in sorted((session / "sentences" / "wav").glob("*/*.wav")):
        if not file.name.startswith("._") and file.stem not in known:
            reading.reject(
                str(file.relative_to(root)),
                "no label",
                f"{file.stem} has a recording and no label",
                utterance=file.stem,
            )


def _texts(folder: Path, root: Path, reading: Reading) -> list[Path]:
    """The folder's own text files: not those of its folders (single raters), not `._` files."""
    files = sorted(
        file for file in folder.glob("*.txt") if file.is_file() and not file.name.startswith("._")
    )
    return [file for file in files if _is_within(file, root, reading)]


def _is_within(file: Path, root: Path, reading: Reading) -> bool:
    """Whether a file is the corpus's own; a link to another one is rejected."""
    target = target_outside(file, root)
    if target is not None:
        reading.reject(
            str(file.relative_to(root)),
            "outside the corpus",
            f"is a link to {target}, outside the corpus; copy the file",
        )
    return target is None


def _lines(file: Path) -> list[str]:
    """Lines of a text file, whatever its line ends; what is not UTF-8 is read as Latin-1."""
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
