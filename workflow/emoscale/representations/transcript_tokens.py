"""What a text model reads of a transcript: its tokens, and where each of them stands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

_TAG = re.compile(r"\[[^\[\]]*\]")


@dataclass(frozen=True)
class TranscriptTokens:
    """Numbers of a transcript's tokens, and of the special tokens that the model puts around them.

    Of a transcript without tokens all special ones are `leading`.
    """

    leading: list[int]
    ids: list[int]
    trailing: list[int]

    characters: NDArray[np.int32]
    """[T, 2]: first character of each of `ids` in the transcript and the one after its last; blanks
    at either end do not count."""


class TranscriptReader:
    """Splits transcripts into tokens, none of which is a special one that the transcript names.

    `tokenizer` is a fast one of transformers, and from here on does not truncate or pad. What
    becomes of `tags` is said in `TransformersTextSettings`.
    """

    def __init__(self, tokenizer: Any, tags: Literal["remove", "keep", "word"]) -> None:
        self._tags = tags
        self._backend = tokenizer.backend_tokenizer
        self._backend.no_truncation()
        self._backend.no_padding()
        self._backend.encode_special_tokens = True  # their names in a text are text
        added = self._backend.get_added_tokens_decoder()
        self._special = {number for number, token in added.items() if token.special}
        self._special |= set(tokenizer.all_special_ids)
        self._unknown = (tokenizer.unk_token_id, tokenizer.unk_token)

    def read(self, transcript: str) -> TranscriptTokens:
        """The tokens of a transcript; one of blanks, or of removed tags, has none."""
        text, places = _text_and_places(transcript, self._tags)
        if not text.strip():
            text = ""  # byte-level tokenizers have tokens for blanks
        encoded = self._backend.encode(text)
        # In vocabularies of sentencepiece the special names are pieces like any other.
        while (other := self._without_special_names(text, encoded)) != text:
            text = other
            encoded = self._backend.encode(text)
        marks = encoded.special_tokens_mask
        inner = [place for place, mark in enumerate(marks) if not mark]
        if not text or not inner:
            special = [number for number, mark in zip(encoded.ids, marks, strict=True) if mark]
            return TranscriptTokens(special, [], [], np.empty((0, 2), dtype=np.int32))
        first, end = inner[0], inner[-1] + 1
        spans = [_without_blanks(text, *span) for span in encoded.offsets[first:end]]
        return TranscriptTokens(
            encoded.ids[:first],
            encoded.ids[first:end],
            encoded.ids[end:],
            _in_transcript(np.array(spans, dtype=np.int64), places),
        )

    def _without_special_names(self, text: str, encoded: Any) -> str:
        """The text with a blank for the first character of each piece that became special."""
        characters = list(text)
        rows = zip(encoded.ids, encoded.offsets, encoded.special_tokens_mask, strict=True)
        for number, span, added in rows:
            if added or number not in self._special:
                continue
            first, end = _without_blanks(text, *span)
            named = number != self._unknown[0] or text[first:end] == self._unknown[1]
            if named and first < end:
                characters[first] = " "
        return "".join(characters)


def _text_and_places(transcript: str, tags: str) -> tuple[str, NDArray[np.int64]]:
    """The text that is read, and the place in the transcript of each of its characters.

    A removed tag or bracket leaves one blank with the blanks around it, and none at either end:
    byte-level tokenizers would make a token of every other one.

    >>> text, places = _text_and_places("Well [LAUGHTER] no", "remove")
    >>> text, places.tolist()
    ('Well no', [0, 1, 2, 3, 4, 16, 17])
    >>> _text_and_places("Well [LAUGHTER] no", "word")[0]
    'Well laughter no'
    """
    characters = list(transcript)
    removed = np.zeros(len(characters), dtype=bool)
    for match in _TAG.finditer(transcript) if tags != "keep" else ():
        first, end = match.span()
        if tags == "remove":
            removed[first:end] = True
        else:
            removed[[first, end - 1]] = True
            characters[first:end] = [character.lower() for character in characters[first:end]]
    text: list[str] = []
    places: list[int] = []
    gap = [removed[place] or character.isspace() for place, character in enumerate(characters)]
    for is_gap, run in groupby(range(len(characters)), key=gap.__getitem__):
        run_places = list(run)
        if is_gap and removed[run_places].any():
            if run_places[0] > 0 and run_places[-1] < len(characters) - 1:
                text.append(" ")
                places.append(run_places[0])
            continue
        for place in run_places:
            text.append(characters[place])
            places += [place] * len(characters[place])  # lower case may be longer
    return "".join(text), np.array(places, dtype=np.int64)


def _without_blanks(text: str, first: int, end: int) -> tuple[int, int]:
    """A span without the blanks at its ends; of blanks alone, the empty one behind them."""
    while first < end and text[first].isspace():
        first += 1
    while end > first and text[end - 1].isspace():
        end -= 1
    return first, end


def _in_transcript(characters: NDArray[np.int64], places: NDArray[np.int64]) -> NDArray[np.int32]:
    """Spans [T, 2] in the text that was read, as spans in the transcript."""
    first, end = characters.T
    firsts = np.append(places, places[-1] + 1)[first]
    ends = np.where(first < end, places[end - 1] + 1, firsts)
    return np.stack([firsts, ends], axis=1).astype(np.int32)
