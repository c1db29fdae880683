"""Speaker, emotion and transcript of an unknown folder, from names and tables."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from emoscale.corpus.folder_metadata import (
    EMOTION_WORDS,
    Candidate,
    candidates,
    emotion_candidates,
    emotion_class,
    speaker_candidates,
    transcript_candidate,
)

SPEAKERS = ("anna", "ben", "cleo")
EMOTIONS = ("Wut", "Freude", "neutral")


def likeliest(root: Path, files: list[str]) -> tuple[Candidate, Candidate]:
    listed = candidates(root, files)
    emotion = emotion_candidates(listed)[0]
    return emotion, speaker_candidates(listed, emotion)[0]


@pytest.mark.parametrize(
    ("form", "emotion", "speaker"),
    [
        ("{speaker}/{emotion}/{take}.wav", "folder 2", "folder 1"),
        ("{emotion}/{speaker}/{take}.wav", "folder 1", "folder 2"),
        ("{speaker}/rec-{take}_{emotion}.wav", "part 3 of the file name", "folder 1"),
        ("all/{number}_{emotion}_{take}.wav", "part 2 of the file name", "part 1 of the file name"),
        (
            "{number}{emotion}{take}.wav",
            "run of letters or digits 2 of the file name",
            "run of letters or digits 1 of the file name",
        ),
    ],
)
def test_parts_of_paths(tmp_path: Path, form: str, emotion: str, speaker: str) -> None:
    files = [
        form.format(speaker=name, number=f"{17 + number}", emotion=label, take=f"{take:02d}")
        for (number, name), label, take in product(enumerate(SPEAKERS), EMOTIONS, range(2))
    ]
    chosen = likeliest(tmp_path, files)
    assert [each.description for each in chosen] == [emotion, speaker]
    assert chosen[0].distinct == sorted(EMOTIONS)
    assert len(chosen[1].distinct) == len(SPEAKERS)


def test_columns_of_a_table(tmp_path: Path) -> None:
    files = [f"clips/{number:04d}.wav" for number in range(9)]
    head = "path;client_id;label;sentence"
    rows = [
        f"{number:04d};{SPEAKERS[number % 3]};{EMOTIONS[number // 3]};Satz {number % 2}"
        for number in range(9)
    ]
    (tmp_path / "clips.csv").write_text("\n".join([head, *rows]))
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n")
    emotion, speaker = likeliest(tmp_path, files)
    assert (emotion.column, speaker.column) == ("label", "client_id")
    assert speaker.values[:4] == ("anna", "ben", "cleo", "anna")
    transcript = transcript_candidate(candidates(tmp_path, files))
    assert transcript is not None
    assert transcript.values[:2] == ("Satz 0", "Satz 1")


def test_a_number_that_tells_the_emotion_is_no_speaker(tmp_path: Path) -> None:
    files = [f"{EMOTIONS[number // 4]}_{number}_{number // 4}.wav" for number in range(12)]
    listed = candidates(tmp_path, files)
    (emotion,) = emotion_candidates(listed)
    assert speaker_candidates(listed, emotion) == []


def test_names_without_a_word_for_emotions_have_no_candidate(tmp_path: Path) -> None:
    assert emotion_candidates(candidates(tmp_path, ["x1/a.wav", "x2/b.wav"])) == []


def test_words_mean_one_emotion() -> None:
    words = [word for text in EMOTION_WORDS.values() for word in text.split()]
    assert sorted(words) == sorted(set(words))
    assert emotion_class("Überraschung") == "surprise"
    assert emotion_class("U\u0308berraschung") == "surprise"
