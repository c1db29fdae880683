"""Tokenisation of transcripts, with the character span of each token."""

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
    """Token ids of a transcript, and of the special tokens and the prefix around them.

    If the transcript has no tokens, all others are `leading`.
    """

    leading: list[int]
    """Ids of the special tokens and of the prefix before the transcript."""

    ids: list[int]
    """Ids of the transcript's tokens."""

    trailing: list[int]
    """Ids of the special tokens after the transcript."""

    characters: NDArray[np.int32]
    """``[tokens, 2]``, first character of each of `ids` in the transcript and the one after its
    last, without whitespace at either end."""


class TranscriptTokenizer:
    """Splits transcripts into tokens.

    Names of special tokens in a transcript are read as text, never as special tokens.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerFast
        Tokenizer of transformers; its truncation and padding are switched off permanently.
    tags : {"remove", "keep", "word"}
        Treatment of tags in brackets (see `TransformersTextSettings`).
    prefix : str
        Text before each transcript.
    """

    def __init__(
        self, tokenizer: Any, tags: Literal["remove", "keep", "word"], prefix: str = ""
    ) -> None:
        self._tags = tags
        self._prefix = prefix
        self._backend = tokenizer.backend_tokenizer
        self._backend.no_truncation()
        self._backend.no_padding()
        self._backend.encode_special_tokens = True  # names of special tokens are encoded as text
        added_tokens = self._backend.get_added_tokens_decoder()
        self._special_ids = {token_id for token_id, token in added_tokens.items() if token.special}
        self._special_ids |= set(tokenizer.all_special_ids)
        self._unknown = (tokenizer.unk_token_id, tokenizer.unk_token)

    def tokenize(self, transcript: str) -> TranscriptTokens:
        """Split a transcript into tokens.

        Parameters
        ----------
        transcript : str
            Transcript of an utterance.

        Returns
        -------
        TranscriptTokens
            Token ids and character spans; no ids if only whitespace or removed tags are left.
        """
        spoken, positions = _preprocess(transcript, self._tags)
        if not spoken.strip():
            spoken = ""  # byte-level tokenizers have tokens for whitespace
        text = self._prefix + spoken
        encoding = self._backend.encode(text)
        # In sentencepiece vocabularies the names of special tokens are tokens like any other.
        while (masked := self._mask_special_names(text, encoding)) != text:
            text = masked
            encoding = self._backend.encode(text)
        special_mask = encoding.special_tokens_mask
        spans = [_strip_span(text, *span) for span in encoding.offsets]
        start = len(self._prefix)
        regular = [
            index
            for index, special in enumerate(special_mask)
            if not special and (not self._prefix or spans[index][1] > start)
        ]
        if not spoken or not regular:
            ids = [
                token_id
                for token_id, special in zip(encoding.ids, special_mask, strict=True)
                if special or self._prefix
            ]
            return TranscriptTokens(ids, [], [], np.empty((0, 2), dtype=np.int32))
        first, end = regular[0], regular[-1] + 1
        return TranscriptTokens(
            encoding.ids[:first],
            encoding.ids[first:end],
            encoding.ids[end:],
            _transcript_spans(np.array(spans[first:end], dtype=np.int64) - start, positions),
        )

    def _mask_special_names(self, text: str, encoding: Any) -> str:
        """Replace the first character of text that was encoded as a special token by a space."""
        characters = list(text)
        tokens = zip(encoding.ids, encoding.offsets, encoding.special_tokens_mask, strict=True)
        for token_id, span, added in tokens:
            if added or token_id not in self._special_ids:
                continue
            first, end = _strip_span(text, *span)
            is_name = token_id != self._unknown[0] or text[first:end] == self._unknown[1]
            if is_name and first < end:
                characters[first] = " "
        return "".join(characters)


def _preprocess(transcript: str, tags: str) -> tuple[str, NDArray[np.int64]]:
    """Return the text to tokenise, and the position in the transcript of each of its characters.

    A removed tag or bracket and the whitespace around it become one space, or nothing at either
    end: byte-level tokenizers would encode every other whitespace character as a token.

    >>> text, positions = _preprocess("Well [LAUGHTER] no", "remove")
    >>> text, positions.tolist()
    ('Well no', [0, 1, 2, 3, 4, 16, 17])
    >>> _preprocess("Well [LAUGHTER] no", "word")[0]
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
    positions: list[int] = []
    gap = [removed[index] or character.isspace() for index, character in enumerate(characters)]
    for is_gap, group in groupby(range(len(characters)), key=gap.__getitem__):
        indices = list(group)
        if is_gap and removed[indices].any():
            if indices[0] > 0 and indices[-1] < len(characters) - 1:
                text.append(" ")
                positions.append(indices[0])
            continue
        for index in indices:
            text.append(characters[index])
            positions += [index] * len(characters[index])  # lower case may be longer
    return "".join(text), np.array(positions, dtype=np.int64)


def _strip_span(text: str, first: int, end: int) -> tuple[int, int]:
    """Exclude whitespace at both ends of a span; a span of whitespace becomes empty, at its end."""
    while first < end and text[first].isspace():
        first += 1
    while end > first and text[end - 1].isspace():
        end -= 1
    return first, end


def _transcript_spans(spans: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.int32]:
    """Convert spans ``[tokens, 2]`` of the preprocessed text to spans of the transcript."""
    first, end = np.maximum(spans, 0).T  # a token may begin within the prefix
    firsts = np.append(positions, positions[-1] + 1)[first]
    ends = np.where(first < end, positions[end - 1] + 1, firsts)
    return np.stack([firsts, ends], axis=1).astype(np.int32)
