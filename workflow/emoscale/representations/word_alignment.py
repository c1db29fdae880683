"""Start and end of each token, from the corpus's word alignment."""

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
# A tag in brackets differs from the spoken word: [LAUGHTER] is not "laughter".
_SUBWORD = re.compile(r"\[[^\[\]]+\]|[^\W_]+")


def token_seconds(
    transcript: str,
    characters: NDArray[np.int32],
    words: Sequence[Mapping[str, Any]] | None,
) -> NDArray[np.float64]:
    """Return start and end of each token.

    A token has the times of the whole word (characters without whitespace) that it belongs to; a
    token of whitespace belongs to the following word. The times are NaN without an alignment, for
    special tokens, and for words that are missing from the alignment.

    Words are compared by letters and digits only, because aligners write them without case and
    punctuation. If transcript and alignment split words differently (twenty-one, TWENTY ONE), a
    word lasts from its first to its last aligned subword.

    Parameters
    ----------
    transcript : str
        Transcript of the utterance.
    characters : ndarray
        ``[tokens, 2]``, character span of each token (see `UtteranceFeatures.characters`).
    words : sequence of mapping or None
        Word alignment in temporal order, with the keys `word`, `start` and `end`.

    Returns
    -------
    ndarray
        ``[tokens, 2]``, start and end in seconds.

    Examples
    --------
    >>> words = [
    ...     {"word": "DONT", "start": 0.1, "end": 0.4},
    ...     {"word": "GO", "start": 0.4, "end": 0.75},
    ... ]
    >>> characters = np.array([[0, 0], [0, 3], [3, 5], [6, 8], [8, 9]], dtype=np.int32)
    >>> token_seconds("Don't go!", characters, words).tolist()
    [[nan, nan], [0.1, 0.4], [0.1, 0.4], [0.4, 0.75], [0.4, 0.75]]
    """
    spans = [(match.start(), match.end()) for match in _WORD.finditer(transcript)]
    word_seconds = _word_seconds([transcript[first:end] for first, end in spans], words)
    unknown = np.full((1, 2), np.nan)  # for tokens after the last word
    ends = np.array([end for _, end in spans], dtype=np.int64)
    word_index = np.searchsorted(ends, characters[:, 0], side="right")
    seconds = np.concatenate([word_seconds, unknown])[word_index]
    special = (characters == 0).all(axis=1)
    seconds[special] = np.nan
    return seconds


def _word_seconds(
    transcript_words: Sequence[str], words: Sequence[Mapping[str, Any]] | None
) -> NDArray[np.float64]:
    """Return start and end ``[words, 2]`` of each word of a transcript."""
    seconds = np.full((len(transcript_words), 2), np.nan)
    if not words:
        return seconds
    subwords, word_indices = _split_words(transcript_words)
    aligned_subwords, aligned_word_indices = _split_words([word["word"] for word in words])
    matcher = SequenceMatcher(None, subwords, aligned_subwords, autojunk=False)
    for operation, first, end, aligned_first, aligned_end in matcher.get_opcodes():
        resplit = operation == "replace" and (
            "".join(subwords[first:end]) == "".join(aligned_subwords[aligned_first:aligned_end])
        )
        for subword in range(first, end) if resplit or operation == "equal" else ():
            # Equal letters, split differently (can not, CANNOT): each subword has the whole span.
            start_index = aligned_first if resplit else aligned_first + subword - first
            end_index = aligned_end - 1 if resplit else start_index
            word = word_indices[subword]
            if np.isnan(seconds[word, 0]):
                seconds[word, 0] = words[aligned_word_indices[start_index]]["start"]
            seconds[word, 1] = words[aligned_word_indices[end_index]]["end"]
    return seconds


def _split_words(words: Sequence[str]) -> tuple[list[str], list[int]]:
    """Split words into runs of letters and digits; return them and the word index of each."""
    subwords: list[str] = []
    word_indices: list[int] = []
    for index, word in enumerate(words):
        normalised = unicodedata.normalize("NFKC", _APOSTROPHES.sub("", word)).casefold()
        matches = _SUBWORD.findall(normalised)
        subwords += matches
        word_indices += [index] * len(matches)
    return subwords, word_indices
