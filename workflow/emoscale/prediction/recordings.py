"""New recordings: search in folders, audio checks, and segments of long recordings."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from emoscale.audio.decoding import SUFFIXES, Recording, check_recording, read_recording
from emoscale.config.corpus import AudioChecks
from emoscale.runtime.errors import AudioError, CorpusError, error_summary


@dataclass(frozen=True)
class Segment:
    """A recording, or a segment of a long one, that is predicted by itself."""

    file: Path
    seconds: float
    """Duration in seconds."""

    number: int = 1
    """Number of the segment in the file, from 1."""

    count: int = 1
    """Number of segments of the file; 1: the segment is the whole recording."""

    start: float | None = None
    """Start within the file in seconds; None: the beginning of the file."""

    end: float | None = None
    """End within the file in seconds; None: the end of the file."""

    @property
    def key(self) -> str:
        """Unique key, used in messages."""
        if self.count == 1:
            return str(self.file)
        return f"{self.file}, segment {self.number} of {self.count}"


@dataclass(frozen=True)
class SkippedRecording:
    """A recording, or a segment of one, that cannot be predicted."""

    file: Path
    message: str
    """Why it cannot be predicted."""


def find_recordings(paths: Sequence[Path]) -> list[Path]:
    """Return the given files and the recordings in the given folders, without duplicates.

    Parameters
    ----------
    paths : sequence of Path
        Files, and folders that are searched recursively.

    Returns
    -------
    list of Path
        The files, in order; those of a folder are sorted.

    Raises
    ------
    CorpusError
        If a folder contains no recording.
    """
    file_of: dict[Path, Path] = {}  # by resolved path
    for path in paths:
        files = [path]
        if os.path.isdir(path):  # noqa: PTH112 - False instead of an error for invalid names
            files = sorted(
                file
                for file in path.rglob("*")
                if file.suffix.lower() in SUFFIXES
                and not file.name.startswith("._")  # macOS writes these to foreign file systems
                and file.is_file()
            )
            if not files:
                raise CorpusError(
                    f"{path}: holds no recording ({', '.join(SUFFIXES)}); name another folder"
                )
        for file in files:
            file_of.setdefault(resolved_path(file), file)
    return list(file_of.values())


def resolved_path(file: Path) -> Path:
    """Resolve symbolic links.

    Parameters
    ----------
    file : Path
        The path.

    Returns
    -------
    Path
        The resolved path; an invalid path is returned unchanged, so that reading it reports why.
    """
    try:
        return file.resolve()
    except (OSError, ValueError, RuntimeError):  # RuntimeError: circular links
        return file


def read_list(path: Path) -> list[Path]:
    """Read a text file with one path per line.

    Parameters
    ----------
    path : Path
        The text file, UTF-8.

    Returns
    -------
    list of Path
        The paths.

    Raises
    ------
    CorpusError
        If the file cannot be read or is empty.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(
            f"{path}: cannot be read as a list of paths ({error_summary(error)})"
        ) from None
    paths = [Path(line.strip()) for line in text.splitlines() if line.strip()]
    if not paths:
        raise CorpusError(f"{path}: names no recording; write one path per line")
    return paths


def split_recording(
    file: Path, checks: AudioChecks, maximum_seconds: float
) -> tuple[list[Segment], list[SkippedRecording]]:
    """Split a recording into equal segments, if it is longer than a maximum.

    Parameters
    ----------
    file : Path
        The recording.
    checks : AudioChecks
        Requirements on a recording and on each segment, as for the recordings of a corpus.
    maximum_seconds : float
        Maximum length of a segment in seconds.

    Returns
    -------
    segments : list of Segment
        The segments that meet the requirements.
    skipped : list of SkippedRecording
        The recording or the segments that do not.
    """
    try:
        str(file).encode()
    except UnicodeEncodeError:
        name = str(file).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
        message = f"{name}: the name is not UTF-8; rename the file"
        return [], [SkippedRecording(file, message)]
    try:
        recording = read_recording(file)
        check_recording(recording, checks, str(file))
    except AudioError as error:
        return [], [SkippedRecording(file, str(error))]
    count = max(1, math.ceil(recording.seconds / maximum_seconds))
    if count == 1:
        return [Segment(file, recording.seconds)], []
    segments: list[Segment] = []
    skipped: list[SkippedRecording] = []
    samples, rate = len(recording.samples), recording.sample_rate
    for number in range(1, count + 1):
        start, end = samples * (number - 1) // count, samples * number // count
        segment = Segment(file, (end - start) / rate, number, count, start / rate, end / rate)
        try:
            check_recording(Recording(recording.samples[start:end], rate), checks, segment.key)
        except AudioError as error:
            skipped.append(SkippedRecording(file, str(error)))
        else:
            segments.append(segment)
    return segments, skipped
