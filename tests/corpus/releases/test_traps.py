"""What is irregular in published corpora and in their copies."""

from __future__ import annotations

import unicodedata
from collections import Counter
from pathlib import Path
from typing import Literal

import pytest

from emoscale.corpus.readers import Utterance
from emoscale.runtime.errors import CorpusError
from tests.corpus.releases.test_trees import read
from tests.corpus.releases.trees import TREES, write_files, write_text


def read_names(reader: str, root: Path, *names: str) -> list[Utterance]:
    write_files(root, names)
    return read(reader, root).utterances


@pytest.mark.parametrize("reader", ["ravdess", "tess"])
def test_a_copy_with_its_tree_twice_has_each_recording_once(tmp_path: Path, reader: str) -> None:
    TREES[reader](tmp_path, every=10)
    TREES[reader](tmp_path / "audio_speech_actors_01-24", every=10)
    manifest = read(reader, tmp_path)
    reasons = Counter(row.reason for row in manifest.rejected)
    assert reasons == {"duplicate key": len(manifest.utterances), "other counts": 1}


def test_songs_and_videos_of_ravdess_are_rejected(tmp_path: Path) -> None:
    names = ("03-01-02-01-01-01-01", "03-02-02-01-01-01-01", "01-01-02-01-01-01-01")
    (utterance,) = read_names("ravdess", tmp_path, *(f"Actor_01/{name}.wav" for name in names))
    assert (utterance.utterance, utterance.emotion) == (names[0], "calm")
    reasons = {row.utterance: row.reason for row in read("ravdess", tmp_path).rejected}
    assert reasons[names[1]] == reasons[names[2]] == "song or video"


def test_letters_of_savee_that_begin_others(tmp_path: Path) -> None:
    names = ("DC_s01", "DC_sa01", "DC_su01", "KL_a15")
    utterances = read_names("savee", tmp_path, *(f"{name}.wav" for name in names))
    assert [(each.utterance, each.emotion) for each in utterances] == [
        ("DC_sa01", "sadness"),
        ("DC_su01", "surprise"),
        ("KL_a15", "anger"),
    ]
    assert read("savee", tmp_path).rejected[0].reason == "unknown label"


def test_name_of_tess_without_f(tmp_path: Path) -> None:
    (utterance,) = read_names("tess", tmp_path, "OAF_neutral/OA_bite_neutral.wav")
    assert (utterance.speaker, utterance.transcript) == ("OA", "Say the word bite.")


def test_speaker_of_aesdd_with_two_digits_and_other_files(tmp_path: Path) -> None:
    names = ("f18 (05).wav", "f18 (5)b.wav", "f18 (5).wav", "cover.jpg")
    utterances = read_names("aesdd", tmp_path, *(f"fear/{name}" for name in names))
    assert [(each.utterance, each.speaker) for each in utterances] == [
        ("f18_5", "5"),
        ("f18_5b", "5"),
    ]
    rejected = read("aesdd", tmp_path).rejected
    assert (rejected[0].file, rejected[0].reason) == ("fear/f18 (5).wav", "duplicate key")


def test_name_of_ased_in_upper_case(tmp_path: Path) -> None:
    (utterance,) = read_names("ased", tmp_path, "04Sad/S4-04-02-01-29.wav")
    assert (utterance.emotion, utterance.sex, utterance.speaker) == ("sadness", "F", "29")


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_accents_of_cafe(tmp_path: Path, form: Literal["NFC", "NFD"]) -> None:
    folder = unicodedata.normalize(form, "Colère/Fort")
    names = (f"{folder}/01-C-2-1.wav", f"{folder}/._01-C-2-1.wav")
    (utterance,) = read_names("cafe", tmp_path, *names)
    assert (tmp_path / utterance.audio).is_file()


def test_the_larger_copy_of_cafe_is_not_read_beside_the_smaller(tmp_path: Path) -> None:
    names = ("CaFE_48k/Neutre/02-N-1-1.wav", "CaFE_192k/Neutre/02-N-1-1.aiff")
    (utterance,) = read_names("cafe", tmp_path, *names)
    assert utterance.audio == names[0]
    (tmp_path / names[0]).unlink()
    (tmp_path / "CaFE_48k/Neutre").rmdir()
    (tmp_path / "CaFE_48k").rmdir()
    assert [each.audio for each in read("cafe", tmp_path).utterances] == [names[1]]


def test_the_sorted_copy_of_emov_db(tmp_path: Path) -> None:
    names = ("bea/Disgust/disgust_1-28_0001.wav", "josh/Sleepy/sleepiness_1-28_0001.wav")
    assert [
        (each.utterance, each.emotion, each.transcript)
        for each in read_names("emov_db", tmp_path, *names)
    ] == [
        ("bea_disgust_1-28_0001", "disgust", None),
        ("josh_sleepiness_1-28_0001", "sleepiness", None),
    ]


def test_layouts_and_lines_of_esd(tmp_path: Path) -> None:
    names = ("0011/Angry/0011_000351.wav", "0001/生气/test/0001_000351.wav")
    text = "0011_000351\tThat was sad\n0011_000352\n"
    write_text(tmp_path / "ESD" / "0011" / "0011.txt", text, "utf-16")
    first, second = read_names("esd", tmp_path, *(f"ESD/{name}" for name in names))
    assert (first.emotion, first.split, first.transcript) == ("anger", "test", None)
    assert (second.emotion, second.split, second.transcript) == ("anger", None, "That was sad")
    (row,) = [row for row in read("esd", tmp_path).rejected if row.location]
    assert (row.file, row.location, row.detail) == ("ESD/0011/0011.txt", "line 2", "0011_000352")


@pytest.mark.parametrize(
    ("reader", "name"),
    [
        ("esd", "0011/Angry/0011_000351.wav"),
        ("jl_corpus", "female1_angry_12a_2.wav"),
        ("nemo", "samples/EB0_anger_12.wav"),
        ("shemo", "female/F01A01.wav"),
    ],
)
def test_missing_texts_are_reported(tmp_path: Path, reader: str, name: str) -> None:
    (utterance,) = read_names(reader, tmp_path, name)
    assert utterance.emotion == "anger"
    assert utterance.transcript is None
    assert "missing" in {row.reason for row in read(reader, tmp_path).rejected}


@pytest.mark.parametrize(
    ("reader", "name", "text"),
    [
        ("shemo", "female/F01A01.wav", "transcript/final text/F01A01.ort"),
        ("esd", "0011/Angry/0011_000351.wav", "0011/0011.txt"),
    ],
)
def test_a_transcript_in_another_encoding_is_reported(
    tmp_path: Path, reader: str, name: str, text: str
) -> None:
    (tmp_path / text).parent.mkdir(parents=True)
    (tmp_path / text).write_bytes(b"0011_000351\t\x81\x81")
    (utterance,) = read_names(reader, tmp_path, name)
    assert utterance.transcript is None
    (row,) = [row for row in read(reader, tmp_path).rejected if row.file == text]
    assert row.reason == "unreadable transcript"


def test_another_corpus_is_not_read(tmp_path: Path) -> None:
    TREES["savee"](tmp_path, every=10)
    with pytest.raises(CorpusError, match=r"no utterance of TESS: expected .*OAF_back_angry.wav"):
        read("tess", tmp_path)
