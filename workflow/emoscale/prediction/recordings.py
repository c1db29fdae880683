"""Which recordings are meant, whether they can be used, and the segments that long ones are cut to."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emoscale.audio.decoding import Recording, check_recording, read_recording
from emoscale.config.corpus import AudioChecks
from emoscale.runtime.errors import AudioError, CorpusError, reason_of

ENDINGS = (".aif", ".aiff", ".flac", ".mp3", ".nist", ".oga", ".ogg", ".opus", ".sph", ".wav")
"""Of the files that are taken from a folder, in any case; a file that is named is always read."""


@dataclass(frozen=True)
class Segment:
    """What is predicted at once: a recording, or a segment of a long one."""

    file: Path
    seconds: float
    """Its duration."""

    number: int = 1
    """Which one of the file's, from 1."""

    count: int = 1
    """How many the file was cut to; 1: it is a whole."""

    start: float | None = None
    """Seconds within the file; None: from its beginning."""

    end: float | None = None
    """Seconds within the file; None: to its end."""

    @property
    def key(self) -> str:
        """Unique; what messages call it."""
        if self.count == 1:
            return str(self.file)
        return f"{self.file}, segment {self.number} of {self.count}"


@dataclass(frozen=True)
class LeftOut:
    """A recording, or a segment of one, that is not predicted, and why."""

    file: Path
    sentence: str


def find_recordings(given: Sequence[Path]) -> list[Path]:
    """The files that are meant, each once: folders are searched, what is in them is sorted.

    Raises `CorpusError` for a folder without recordings.
    """
    found: dict[Path, Path] = {}
    for path in given:
        files = [path]
        if os.path.isdir(path):  # noqa: PTH112 - says no to names that no file system knows
            files = sorted(
                file
                for file in path.rglob("*")
                if file.suffix.lower() in ENDINGS
                and not file.name.startswith("._")  # macOS leaves these on foreign disks
                and file.is_file()
            )
            if not files:
                raise CorpusError(
                    f"{path}: holds no recording ({', '.join(ENDINGS)}); name another folder"
                )
        for file in files:
            found.setdefault(real_path(file), file)
    return list(found.values())


def real_path(file: Path) -> Path:
    """Without links; of a name that cannot be one, as it is: reading it says why."""
    try:
        return file.resolve()
    except (OSError, ValueError, RuntimeError):  # RuntimeError: links in a circle
        return file


def read_list(path: Path) -> list[Path]:
    """The paths that a text file names, one a line; raises `CorpusError` where it has none."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(
            f"{path}: cannot be read as a list of paths ({reason_of(error)})"
        ) from None
    paths = [Path(line.strip()) for line in text.splitlines() if line.strip()]
    if not paths:
        raise CorpusError(f"{path}: names no recording; write one path a line")
    return paths


def segments_of(
    file: Path, checks: AudioChecks, longest_seconds: float
) -> tuple[list[Segment], list[LeftOut]]:
    """A recording as a whole, or in equal segments none of which is longer than `longest_seconds`.

    What is not fit for use, as in a corpus, is left out: the recording, or a segment of it.
    """
    try:
        str(file).encode()
    except UnicodeEncodeError:
        name = str(file).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        return [], [LeftOut(file, f"{name}: the name is not UTF-8; rename the file")]
    try:
        recording = read_recording(file)
        check_recording(recording, checks, str(file))
    except AudioError as error:
        return [], [LeftOut(file, str(error))]
    count = max(1, math.ceil(recording.seconds / longest_seconds))
    if count == 1:
        return [Segment(file, recording.seconds)], []
    segments: list[Segment] = []
    left_out: list[LeftOut] = []
    samples, rate = len(recording.samples), recording.sample_rate
    for number in range(1, count + 1):
        first, last = samples * (number - 1) // count, samples * number // count
        segment = Segment(file, (last - first) / rate, number, count, first / rate, last / rate)
        try:
            check_recording(Recording(recording.samples[first:last], rate), checks, segment.key)
        except AudioError as error:
            left_out.append(LeftOut(file, str(error)))
        else:
            segments.append(segment)
    return segments, left_out
