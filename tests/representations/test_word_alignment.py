"""Tokens and the corpus's alignment of words."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoscale.representations.word_alignment import seconds_of_tokens

NONE = (None, None)


def aligned(*words: str) -> list[dict[str, Any]]:
    """Words of half a second each, with a tenth of a second between them."""
    return [
        {"word": word, "start": round(0.6 * place, 1), "end": round(0.6 * place + 0.5, 1)}
        for place, word in enumerate(words)
    ]


def times(transcript: str, words: list[dict[str, Any]] | None) -> list[tuple[Any, Any]]:
    """Of every word of the transcript, as one token each; None for not a number."""
    characters = [(match.start(), match.end()) for match in re.finditer(r"\S+", transcript)]
    seconds = seconds_of_tokens(transcript, np.array(characters, np.int32).reshape(-1, 2), words)
    assert seconds.shape == (len(characters), 2)
    assert seconds.dtype == np.float64
    return [
        NONE if math.isnan(start) and math.isnan(end) else (start, end) for start, end in seconds
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
def test_case_punctuation_and_apostrophes_do_not_count(transcript: str, words: list[str]) -> None:
    expected = [(word["start"], word["end"]) for word in aligned(*words)]
    assert times(transcript, aligned(*words)) == expected


def test_what_the_alignment_does_not_have() -> None:
    assert times("no words here", None) == [NONE] * 3
    assert times("no words here", []) == [NONE] * 3
    assert times("yes - no", aligned("YES", "NO")) == [(0.0, 0.5), NONE, (0.6, 1.1)]
    assert times("a b c", aligned("A", "C")) == [(0.0, 0.5), NONE, (0.6, 1.1)]
    assert times("a c", aligned("A", "B", "C")) == [(0.0, 0.5), (1.2, 1.7)]
    assert times("cat", aligned("HAT")) == [NONE]
    assert times("oh don't", aligned("WELL", "DONT")) == [NONE, (0.6, 1.1)]
    assert times("", aligned("A")) == []


def test_words_that_are_divided_differently() -> None:
    one_two = aligned("TWENTY", "ONE", "PEOPLE")
    assert times("twenty-one people", one_two) == [(0.0, 1.1), (1.2, 1.7)]
    whole = aligned("TWENTY-ONE", "PEOPLE")
    assert times("twenty one people", whole) == [(0.0, 0.5), (0.0, 0.5), (0.6, 1.1)]
    assert times("I cannot go", aligned("I", "CAN", "NOT", "GO"))[1] == (0.6, 1.7)
    assert times("I can not go", aligned("I", "CANNOT", "GO"))[1:3] == [(0.6, 1.1)] * 2
    assert times("the U.S.A. won", aligned("THE", "USA", "WON"))[1] == (0.6, 1.1)
    assert times("I'm...I'm here", aligned("I'M", "I'M", "HERE")) == [(0.0, 1.1), (1.2, 1.7)]


def test_a_noise_is_not_the_word_for_it() -> None:
    words = aligned("[LAUGHTER]", "LAUGHTER", "HELPS")
    assert times("[LAUGHTER] Laughter helps", words) == [(0.0, 0.5), (0.6, 1.1), (1.2, 1.7)]
    assert times("Laughter helps", words) == [(0.6, 1.1), (1.2, 1.7)]
    assert times("[LAUGHTER] helps", words[1:]) == [NONE, (1.2, 1.7)]


def test_a_repeated_word_is_found_in_its_place() -> None:
    words = aligned("NO", "NO", "I", "SAID", "NO")
    assert [start for start, _ in times("No, no, I said no!", words)] == [0.0, 0.6, 1.2, 1.8, 2.4]


def test_tokens_within_a_word_between_words_and_special_ones() -> None:
    characters = np.array([[0, 0], [0, 3], [3, 5], [5, 5], [6, 8], [8, 9], [0, 0]], dtype=np.int32)
    seconds = seconds_of_tokens("hello so\n", characters, aligned("HELLO", "SO"))
    starts = [None if math.isnan(start) else start for start in seconds[:, 0]]
    assert starts == [None, 0.0, 0.0, 0.6, 0.6, None, None]


def test_nothing_given_is_changed() -> None:
    characters = np.array([[0, 0], [0, 5]], dtype=np.int32)
    words = aligned("HELLO")
    seconds_of_tokens("hello", characters, words)
    assert characters.tolist() == [[0, 0], [0, 5]]
    assert words == aligned("HELLO")


def dressed(word: str) -> st.SearchStrategy[str]:
    """The word in any case, with punctuation around it."""
    marks = st.text(alphabet=".,!?;:'\"…-()", max_size=2)
    cases = st.lists(st.booleans(), min_size=len(word), max_size=len(word)).map(
        lambda upper: "".join(
            letter.upper() if is_upper else letter.lower()
            for letter, is_upper in zip(word, upper, strict=True)
        )
    )
    return st.tuples(marks, cases, marks).map("".join)


@given(st.data())
def test_every_token_has_the_times_of_its_own_word(data: st.DataObject) -> None:
    words = data.draw(
        st.lists(st.sampled_from(["I", "DON'T", "DONT", "NO", "TWENTY", "ÜBER", "4"]), min_size=1)
    )
    transcript = ""
    owners: list[int] = []
    characters: list[tuple[int, int]] = []
    for place, word in enumerate(words):
        transcript += data.draw(st.sampled_from([" ", "  ", "\n", " - "] if place else ["", " "]))
        written = data.draw(dressed(word))
        cut = data.draw(st.integers(0, len(written) - 1))
        for first, end in ((0, cut), (cut, len(written))):
            if first < end:
                owners.append(place)
                characters.append((len(transcript) + first, len(transcript) + end))
        transcript += written
    alignment = aligned(*words)
    seconds = seconds_of_tokens(transcript, np.array(characters, dtype=np.int32), alignment)
    expected = [(alignment[owner]["start"], alignment[owner]["end"]) for owner in owners]
    np.testing.assert_array_equal(seconds, expected)


@given(st.text(alphabet="ab -'[].\n", max_size=40), st.lists(st.text("AB-'[]", min_size=1)))
def test_times_never_decrease(transcript: str, words: list[str]) -> None:
    characters = np.array(
        [(place, place + 1) for place in range(1, len(transcript))], dtype=np.int32
    ).reshape(-1, 2)
    seconds = seconds_of_tokens(transcript, characters, aligned(*words))
    known = seconds[~np.isnan(seconds).any(axis=1)]
    assert (np.diff(known, axis=0) >= 0).all()
    assert (known[:, 0] < known[:, 1]).all()
