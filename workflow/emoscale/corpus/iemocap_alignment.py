"""Parser for the word segmentations of the Sphinx-3 forced aligner (`.wdseg`)."""

from __future__ import annotations

import re

FRAMES_PER_SECOND = 100

_ROW = re.compile(r"^\s*(?P<first>\d{1,9})\s+(?P<last>\d{1,9})\s+-?\d+\s+(?P<word>\S+)\s*$")
_HEADER = ["SFrm", "EFrm", "SegAScr", "Word"]
_SILENCE = {"<s>", "</s>", "<sil>"}
_ALTERNATIVE = re.compile(r"\(\d+\)$")


class AlignmentError(Exception):
    """A file is not a word segmentation.

    Parameters
    ----------
    location : str
        The line.
    message : str
        What is wrong with it.
    """

    def __init__(self, location: str, message: str) -> None:
        super().__init__(message)
        self.location = location


def read_word_segments(lines: list[str]) -> list[dict[str, str | float]]:
    """Parse a word segmentation.

    Silences are dropped; noises (`++LAUGHTER++`) are returned as in transcripts (`[LAUGHTER]`), and
    alternative pronunciations (`WORD(2)`) as their word. The last frame belongs to the word, so
    frames 10 to 19 end at 0.20 s.

    Parameters
    ----------
    lines : list of str
        Lines of the file.

    Returns
    -------
    list of dict
        `word`, and `start` and `end` in seconds from the utterance's start.

    Raises
    ------
    AlignmentError
        If the file is truncated or a line is invalid.
    """
    words: list[dict[str, str | float]] = []
    if not any(line.lstrip().startswith("Total score") for line in lines):
        raise AlignmentError(f"line {len(lines)}", "the file is truncated: it has no total score")
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.split() == _HEADER or line.lstrip().startswith("Total score"):
            continue
        match = _ROW.match(line)
        if match is None:
            raise AlignmentError(f"line {number}", f"not a row of first, last, score, word: {line}")
        if match["word"] in _SILENCE:
            continue
        first, last = int(match["first"]), int(match["last"])
        if last < first:
            raise AlignmentError(f"line {number}", f"a word ends before it begins: {line}")
        words.append(
            {
                "word": _word(match["word"]),
                "start": first / FRAMES_PER_SECOND,
                "end": (last + 1) / FRAMES_PER_SECOND,
            }
        )
    return words


def _word(token: str) -> str:
    if token.startswith("++") and token.endswith("++") and len(token) > 4:
        return f"[{token[2:-2]}]"
    return _ALTERNATIVE.sub("", token)
