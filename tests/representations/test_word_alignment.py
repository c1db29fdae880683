"""Start and end of tokens from a word alignment."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoscale.representations.word_alignment import token_seconds

UNKNOWN = (None, None)


def aligned(*words: str) -> list[dict[str, Any]]:
    """Align words of half a second each, with a tenth of a second between them."""
    return [
        {"word": word, "start": round(0.6 * index, 1), "end": round(0.6 * index + 0.5, 1)}
        for index, word in enumerate(words)
    ]


def times(transcript: str, words: list[dict[str, Any]] | None) -> list[tuple[Any, Any]]:
    """Return start and end of each word of the transcript as one token; None for NaN."""
    characters = [(match.start(), match.end()) for match in re.finditer(r"\S+", transcript)]
    seconds = token_seconds(transcript, np.array(characters, np.int32).reshape(-1, 2), words)
    assert seconds.shape == (len(characters), 2)
    assert seconds.dtype == np.float64
    return [
        UNKNOWN if math.isnan(start) and math.isnan(end) else (start, end) for start, end in seconds
    ]


@pytest.mark.parametrize(
    ("transcript", "words"),
    [
        ("I don't know.", ["I", "DON'T", "KNOW"]),
        ("I don’t know", ["I", "DONT", "KNOW"]),
        ("“Well,” she said…", ["WELL", "SHE", "SAID"]),
        ("Straße, naïve!", ["STRASSE", "NAI\u0308VE"]),
    ],
)
def test_case_punctuation_and_apostrophes_are_ignored(transcript: str, words: list[str]) -> None:
    expected = [(word["start"], word["end"]) for word in aligned(*words)]
    assert times(transcript, aligned(*words)) == expected


def test_words_missing_from_the_alignment() -> None:
    assert times("no words here", None) == [UNKNOWN] * 3
    assert times("no words here", []) == [UNKNOWN] * 3
    assert times("yes - no", aligned("YES", "NO")) == [(0.0, 0.5), UNKNOWN, (0.6, 1.1)]
    assert times("a b c", aligned("A", "C")) == [(0.0, 0.5), UNKNOWN, (0.6, 1.1)]
    assert times("a c", aligned("A", "B", "C")) == [(0.0, 0.5), (1.2, 1.7)]
    assert times("cat", aligned("HAT")) == [UNKNOWN]
    assert times("oh don't", aligned("WELL", "DONT")) == [UNKNOWN, (0.6, 1.1)]
    assert times("", aligned("A")) == []


def test_words_that_are_split_differently() -> None:
    split = aligned("TWENTY", "ONE", "PEOPLE")
    assert times("twenty-one people", split) == [(0.0, 1.1), (1.2, 1.7)]
    joined = aligned("TWENTY-ONE", "PEOPLE")
    assert times("twenty one people", joined) == [(0.0, 0.5), (0.0, 0.5), (0.6, 1.1)]
    assert times("I cannot go", aligned("I", "CAN", "NOT", "GO"))[1] == (0.6, 1.7)
    assert times("I can not go", aligned("I", "CANNOT", "GO"))[1:3] == [(0.6, 1.1)] * 2
    assert times("the U.S.A. won", aligned("THE", "USA", "WON"))[1] == (0.6, 1.1)
    assert times("I'm...I'm here", aligned("I'M", "I'M", "HERE")) == [(0.0, 1.1), (1.2, 1.7)]


def test_a_tag_does_not_match_the_spoken_word() -> None:
    words = aligned("[LAUGHTER]", "LAUGHTER", "HELPS")
    assert times("[LAUGHTER] Laughter helps", words) == [(0.0, 0.5), (0.6, 1.1), (1.2, 1.7)]
    assert times("Laughter helps", words) == [(0.6, 1.1), (1.2, 1.7)]
    assert times("[LAUGHTER] helps", words[1:]) == [UNKNOWN, (1.2, 1.7)]


def test_repeated_words_are_matched_in_order() -> None:
    words = aligned("NO", "NO", "I", "SAID", "NO")
    assert [start for start, _ in times("No, no, I said no!", words)] == [0.0, 0.6, 1.2, 1.8, 2.4]


def test_subword_whitespace_and_special_tokens() -> None:
    characters = np.array([[0, 0], [0, 3], [3, 5], [5, 5], [6, 8], [8, 9], [0, 0]], dtype=np.int32)
    seconds = token_seconds("hello so\n", characters, aligned("HELLO", "SO"))
    starts = [None if math.isnan(start) else start for start in seconds[:, 0]]
    assert starts == [None, 0.0, 0.0, 0.6, 0.6, None, None]


def test_inputs_are_not_modified() -> None:
    characters = np.array([[0, 0], [0, 5]], dtype=np.int32)
    words = aligned("HELLO")
    token_seconds("hello", characters, words)
    assert characters.tolist() == [[0, 0], [0, 5]]
    assert words == aligned("HELLO")


def written_forms(word: str) -> st.SearchStrategy[str]:
    """Generate the word in any case, with punctuation around it."""
    marks = st.text(alphabet=".,!?;:'\"…-()", max_size=2)
    cases = st.lists(st.booleans(), min_size=len(word), max_size=len(word)).map(
        lambda upper: "".join(
            letter.upper() if is_upper else letter.lower()
            for letter, is_upper in zip(word, upper, strict=True)
        )
    )
    return st.tuples(marks, cases, marks).map("".join)


@given(st.data())
def test_every_token_has_the_times_of_its_word(data: st.DataObject) -> None:
    words = data.draw(
        st.lists(st.sampled_from(["I", "DON'T", "DONT", "NO", "TWENTY", "ÜBER", "4"]), min_size=1)
    )
    transcript = ""
    word_indices: list[int] = []
    characters: list[tuple[int, int]] = []
    for index, word in enumerate(words):
        transcript += data.draw(st.sampled_from([" ", "  ", "\n", " - "] if index else ["", " "]))
        written = data.draw(written_forms(word))
        cut = data.draw(st.integers(0, len(written) - 1))
        for first, end in ((0, cut), (cut, len(written))):
            if first < end:
                word_indices.append(index)
                characters.append((len(transcript) + first, len(transcript) + end))
        transcript += written
    alignment = aligned(*words)
    seconds = token_seconds(transcript, np.array(characters, dtype=np.int32), alignment)
    expected = [(alignment[index]["start"], alignment[index]["end"]) for index in word_indices]
    np.testing.assert_array_equal(seconds, expected)


@given(st.text(alphabet="ab -'[].\n", max_size=40), st.lists(st.text("AB-'[]", min_size=1)))
def test_times_never_decrease(transcript: str, words: list[str]) -> None:
    characters = np.array(
        [(first, first + 1) for first in range(1, len(transcript))], dtype=np.int32
    ).reshape(-1, 2)
    seconds = token_seconds(transcript, characters, aligned(*words))
    known = seconds[~np.isnan(seconds).any(axis=1)]
    assert (np.diff(known, axis=0) >= 0).all()
    assert (known[:, 0] < known[:, 1]).all()
