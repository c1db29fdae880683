"""When each token was said: from the token to its word, and from the word to the alignment."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(r"\S+")
_APOSTROPHES = re.compile("['’‘ʼ`´＇]")
# A noise stays apart from the spoken word: [LAUGHTER] is not "laughter".
_PART = re.compile(r"\[[^\[\]]+\]|[^\W_]+")


def seconds_of_tokens(
    transcript: str,
    characters: NDArray[np.int32],
    words: Sequence[Mapping[str, Any]] | None,
) -> NDArray[np.float64]:
    """Start and end in seconds of each token [T, 2], from the corpus's alignment of words.

    `characters` [T, 2] are the tokens' places in `transcript` (see `Extracted.characters`), `words`
    the alignment in the order of time, each with `word`, `start` and `end`. A token has the times
    of its whole word, a run of characters without blanks; a token of blanks belongs to the word
    after it. Not a number where there is none: no alignment, a special token, a word that the
    alignment does not have.

    Words are compared by their letters and digits alone, as aligners write them without case and
    punctuation. Where the two divide words differently (twenty-one, TWENTY ONE), a word lasts from
    the first part that the alignment has to the last.

    >>> words = [
    ...     {"word": "DONT", "start": 0.1, "end": 0.4},
    ...     {"word": "GO", "start": 0.4, "end": 0.75},
    ... ]
    >>> characters = np.array([[0, 0], [0, 3], [3, 5], [6, 8], [8, 9]], dtype=np.int32)
    >>> seconds_of_tokens("Don't go!", characters, words).tolist()
    [[nan, nan], [0.1, 0.4], [0.1, 0.4], [0.4, 0.75], [0.4, 0.75]]
    """
    found = [(match.start(), match.end()) for match in _WORD.finditer(transcript)]
    seconds_of_words = _seconds_of_words([transcript[first:end] for first, end in found], words)
    nowhere = np.full((1, 2), np.nan)  # what comes after the last word
    ends = np.array([end for _, end in found], dtype=np.int64)
    place = np.searchsorted(ends, characters[:, 0], side="right")
    seconds = np.concatenate([seconds_of_words, nowhere])[place]
    special = (characters == 0).all(axis=1)
    seconds[special] = np.nan
    return seconds


def _seconds_of_words(
    spoken: Sequence[str], words: Sequence[Mapping[str, Any]] | None
) -> NDArray[np.float64]:
    """Start and end [words, 2] of each word of a transcript."""
    seconds = np.full((len(spoken), 2), np.nan)
    if not words:
        return seconds
    parts, word_of_part = _parts(spoken)
    aligned_parts, aligned_of_part = _parts([word["word"] for word in words])
    matcher = SequenceMatcher(None, parts, aligned_parts, autojunk=False)
    for kind, first, end, aligned_first, aligned_end in matcher.get_opcodes():
        same = kind == "replace" and _same_letters(
            parts[first:end], aligned_parts[aligned_first:aligned_end]
        )
        for part in range(first, end) if same or kind == "equal" else ():
            # Of the same letters divided otherwise (can not, CANNOT), each part has them all.
            opening = aligned_first if same else aligned_first + part - first
            closing = aligned_end - 1 if same else opening
            word = word_of_part[part]
            if np.isnan(seconds[word, 0]):
                seconds[word, 0] = words[aligned_of_part[opening]]["start"]
            seconds[word, 1] = words[aligned_of_part[closing]]["end"]
    return seconds


def _parts(words: Sequence[str]) -> tuple[list[str], list[int]]:
    """What is compared: the runs of letters and digits in each word, and the word of each."""
    parts: list[str] = []
    word_of_part: list[int] = []
    for place, word in enumerate(words):
        plain = unicodedata.normalize("NFKC", _APOSTROPHES.sub("", word)).casefold()
        found = _PART.findall(plain)
        parts += found
        word_of_part += [place] * len(found)
    return parts, word_of_part


def _same_letters(parts: Sequence[str], others: Sequence[str]) -> bool:
    return "".join(parts) == "".join(others)
