"""Speaker, emotion and transcript of an unknown folder, from names and tables."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from emoscale.corpus.folder_metadata import (
    EMOTION_WORDS,
    Candidate,
    candidates,
    choose_emotion,
    choose_speaker,
    emotion_candidates,
    emotion_class,
    speaker_candidates,
    transcript_candidate,
)
from emoscale.corpus.folder_tables import Table, read_tables

SPEAKERS = ("anna", "ben", "cleo")
EMOTIONS = ("Wut", "Freude", "neutral")


def likeliest(root: Path, files: list[str]) -> tuple[Candidate, Candidate]:
    tables, _ = read_tables(root)
    listed = candidates(files, tables)
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
    transcript = transcript_candidate(candidates(files, read_tables(tmp_path)[0]))
    assert transcript is not None
    assert transcript.values[:2] == ("Satz 0", "Satz 1")


def test_a_number_that_tells_the_emotion_is_no_speaker() -> None:
    files = [f"{EMOTIONS[number // 4]}_{number}_{number // 4}.wav" for number in range(12)]
    listed = candidates(files, [])
    (emotion,) = emotion_candidates(listed)
    assert speaker_candidates(listed, emotion) == []


def test_names_without_a_word_for_emotions_have_no_candidate() -> None:
    assert emotion_candidates(candidates(["x1/a.wav", "x2/b.wav"], [])) == []


@pytest.mark.parametrize(
    "form", ["{emotion}_{take:02d}.wav", "{emotion}_{number}_{take}.wav", "a/{emotion}_{take}.wav"]
)
def test_a_number_is_no_certain_speaker(form: str) -> None:
    files = [
        form.format(emotion=emotion, take=take, number=take // 2)
        for emotion, take in product(EMOTIONS, range(4))
    ]
    listed = candidates(files, [])
    (emotion,) = emotion_candidates(listed)
    likely = speaker_candidates(listed, emotion)
    assert choose_speaker(likely, ask=True) is choose_speaker(likely, ask=False) is None


def test_a_folder_is_likelier_than_a_numbered_part(tmp_path: Path) -> None:
    files = [
        f"{speaker}/s{sentence:02d}_{emotion}.wav"
        for speaker, sentence, emotion in product(SPEAKERS, range(3), EMOTIONS)
    ]
    listed = candidates([*files, "intro.wav"], [])
    speakers = speaker_candidates(listed, emotion_candidates(listed)[0])
    assert (speakers[0].description, speakers[0].values[-1]) == ("folder 1", "")
    assert choose_speaker(speakers, ask=True) is None
    assert choose_speaker(speakers, ask=False) is speakers[0]


def test_two_tables_that_lack_a_recording(tmp_path: Path) -> None:
    files = [f"{number:03d}.wav" for number in range(12)]
    for name, numbers in (("train", range(8)), ("test", range(8, 11))):
        rows = [f"{n:03d}.wav,{n % 3},f,{n // 3},{EMOTIONS[n % 2]}" for n in numbers]
        text = "\n".join(["file,speaker,gender,sentence,emotion", *rows])
        (tmp_path / f"{name}.csv").write_text(text)
    (tmp_path / "old.csv").write_bytes(b"file,emotion\n000.wav,\xe4rger\n")
    (tmp_path / "long.txt").write_text(f'a,b\n1,"{"x" * 140_000}"\n')
    (tmp_path / "prose.txt").write_bytes(b"\xe4, b\n")
    emotion, speaker = likeliest(tmp_path, files)
    assert emotion.description == "column emotion of test.csv and 1 like it"
    assert speaker.column == "speaker"
    assert speaker.values == (*(str(number % 3) for number in range(11)), "")
    _, unread = read_tables(tmp_path)
    assert unread[0] == "old.csv: byte 21 is not UTF-8; save it as UTF-8"
    assert unread[1].startswith("files .txt not read as tables: 2 (first: long.txt, line 2: field")
    assert len(unread) == 2


@pytest.mark.parametrize(
    "words", ["train test", "male female", "strong weak", "F M", "take1 take2"]
)
def test_splits_sexes_and_intensities_are_no_speakers(words: str) -> None:
    files = [
        f"{word}/{emotion}/{number}.wav"
        for word, emotion, number in product(words.split(), EMOTIONS, range(6))
    ]
    listed = candidates(files, [])
    emotion = emotion_candidates(listed)[0]
    assert "folder 1" not in [each.description for each in speaker_candidates(listed, emotion)]


def test_a_speaker_within_a_split(tmp_path: Path) -> None:
    files = [
        f"{split}/{speaker}/{emotion}_{number}.wav"
        for split, speaker, emotion, number in product(
            ("train", "test"), SPEAKERS, EMOTIONS, range(3)
        )
    ]
    _, speaker = likeliest(tmp_path, files)
    assert speaker.description == "folder 2"


def write_labels(path: Path, *rows: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["path,speaker,mood", *rows]))


def test_hidden_tables_are_not_read_and_the_first_row_counts(tmp_path: Path) -> None:
    write_labels(tmp_path / "labels.csv", "a.wav,anna,sad", "b.wav,ben,happy", "a.wav,cleo,angry")
    for name in (".ipynb_checkpoints/labels.csv", "__MACOSX/l.csv", "~$labels.csv", "._l.csv"):
        write_labels(tmp_path / name, "a.wav,dan,angry", "b.wav,dan,angry")
    tables, unread = read_tables(tmp_path)
    assert ([each.files[0] for each in tables], unread) == (["labels.csv"], [])
    values = {each.column: each.values for each in candidates(["a.wav", "b.wav"], tables)}
    assert (values["speaker"], values["mood"]) == (("anna", "ben"), ("sad", "happy"))


def test_tables_of_linked_folders_are_read(tmp_path: Path) -> None:
    write_labels(tmp_path / "disk" / "labels.csv", "a.wav,anna,sad")
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "linked").symlink_to(tmp_path / "disk")
    tables, _ = read_tables(tmp_path / "corpus")
    assert [each.files[0] for each in tables] == ["linked/labels.csv"]
    (tmp_path / "corpus" / "labels.csv").symlink_to(tmp_path / "disk" / "labels.csv")
    _, unread = read_tables(tmp_path / "corpus")
    assert "labels.csv is a link to" in unread[0]


def test_quotes_and_unusual_characters_lose_no_row(tmp_path: Path) -> None:
    text = 'path,said\na.wav,"one\ntwo"\nb.wav,three\u0085four\nc.wav,"five, six"\n'
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8")
    (tmp_path / "stray.csv").write_text('path,said\na.wav,"one\nb.wav,two\n')
    (table,), unread = read_tables(tmp_path)
    assert [row["said"] for _, row in table.rows] == ["one\ntwo", "three\x85four", "five, six"]
    assert unread[0].startswith("stray.csv, line 3: ")


@pytest.mark.parametrize(
    ("table", "form"),
    [
        ("labels.csv", "/home/someone/corpus/{speaker}/{take}.wav"),
        ("labels.csv", "C:\\corpus\\{speaker}\\{take}.wav"),
        ("labels.csv", "data/wavs/{speaker}/{take}.mp3"),
        ("meta/labels.csv", "../{speaker}/{take}.wav"),
        ("labels.csv", "{speaker}/{take}"),
        ("{speaker}/labels.csv", "{take}.wav"),
        ("{speaker}/labels.csv", "{take}"),
    ],
)
def test_paths_in_a_table(tmp_path: Path, table: str, form: str) -> None:
    rows: dict[str, list[str]] = {}
    files, moods = [], []
    for speaker, take in product(SPEAKERS, range(6)):
        files.append(f"wavs/{speaker}/{take}.wav" if "wavs" in form else f"{speaker}/{take}.wav")
        moods.append(EMOTIONS[take % 3])
        path = form.format(speaker=speaker, take=take)
        rows.setdefault(table.format(speaker=speaker), []).append(f"{path},{speaker},{moods[-1]}")
    for name in rows:
        write_labels(tmp_path / name, *rows[name])
    emotion, speaker_candidate = likeliest(tmp_path, files)
    assert (emotion.column, speaker_candidate.column) == ("mood", "speaker")
    assert list(emotion.values) == moods


def test_a_row_of_a_missing_recording_describes_no_other(tmp_path: Path) -> None:
    rows = [
        f"{name}/{take}.wav,{name},{EMOTIONS[take % 3]}" for name in SPEAKERS for take in range(9)
    ]
    write_labels(tmp_path / "labels.csv", *rows)
    files = [f"ben/{take}.wav" for take in range(6)] + [f"cleo/{take}.wav" for take in range(5, 9)]
    _, speaker = likeliest(tmp_path, files)
    assert speaker.values == tuple(name.partition("/")[0] for name in files)


def test_the_number_of_a_row_is_not_the_name_of_a_recording(tmp_path: Path) -> None:
    rows = [f"{9 - n},{n + 1}.wav,{SPEAKERS[n % 3]},{EMOTIONS[n // 3]}" for n in range(9)]
    text = "\n".join(["id,clip,speaker,emotion", *rows])
    (tmp_path / "labels.csv").write_text(text)
    emotion, speaker = likeliest(tmp_path, [f"{number + 1}.wav" for number in range(9)])
    assert list(emotion.values) == [EMOTIONS[number // 3] for number in range(9)]
    assert list(speaker.values) == [SPEAKERS[number % 3] for number in range(9)]


def certain(files: list[str], tables: list[Table], ask: bool) -> Candidate | None:
    listed = candidates(files, tables)
    return choose_speaker(speaker_candidates(listed, emotion_candidates(listed)[0]), ask)


@pytest.mark.parametrize(
    ("form", "speaker"),
    [
        ("{speaker}/{emotion}/{take}.wav", "folder 1"),
        ("train_set/{speaker}/{emotion}{take}.wav", "folder 2"),
        ("day{take}/{speaker}/{emotion}.wav", "folder 2"),
        ("studio{take}/spk{number}_{emotion}.wav", "part 1 of the file name"),
        ("room{take}x/{speaker}/{emotion}.wav", None),
        ("room{number}x/{speaker}_{emotion}_{take}.wav", "folder 1"),
        ("all/{speaker}_{emotion}_p{take}.wav", None),
        ("clean{number}/{emotion}_{take}.wav", None),
        ("room{take}x/{speaker}_{emotion}.wav", None),
        ("{emotion}/f{take}_{speaker}.wav", None),
    ],
)
def test_what_is_certain_without_a_question(form: str, speaker: str | None) -> None:
    files = [
        form.format(speaker=name, number=number, emotion=label, take=take)
        for (number, name), label, take in product(enumerate(SPEAKERS), EMOTIONS, range(4))
    ]
    chosen = certain(files, [], ask=False)
    assert (chosen and chosen.description) == speaker


def test_folders_that_something_joins_are_not_certain() -> None:
    files = [
        f"{session}{part}/{session}_{label}_{take}.wav"
        for session, part, label, take in product(("Ses01", "Ses02"), "abc", EMOTIONS, range(2))
    ]
    assert certain(files, [], ask=False) is None


def test_a_column_named_file_is_the_file(tmp_path: Path) -> None:
    files = [f"{number}.wav" for number in range(9)]
    rows = [f"{n},{8 - n},{SPEAKERS[n % 3]},{EMOTIONS[n // 3]}" for n in range(9)]
    (tmp_path / "labels.csv").write_text("\n".join(["no,file,speaker,emotion", *rows]))
    emotion, _ = likeliest(tmp_path, files)
    assert list(emotion.values) == [EMOTIONS[(8 - number) // 3] for number in range(9)]


def test_names_of_speakers_in_several_folders_are_asked() -> None:
    files = [
        f"site{site}x/spk{number}_{label}.wav"
        for site, number, label in product("AB", range(3), EMOTIONS)
    ]
    assert certain(files, [], ask=True) is None
    assert certain(files, [], ask=False) is not None


def test_a_folder_of_two_values_is_not_certain() -> None:
    files = [
        f"{language}/{label}/{n}.wav"
        for language, label, n in product(("english", "german"), EMOTIONS, range(4))
    ]
    assert certain(files, [], ask=False) is None


def test_a_column_of_speakers_needs_no_two_emotions_each(tmp_path: Path) -> None:
    files = [f"batch_{number % 3}/{number}.wav" for number in range(30)]
    rows = [f"{file},crowd{n},{EMOTIONS[n % 3]}" for n, file in enumerate(files)]
    write_labels(tmp_path / "labels.csv", *rows)
    speaker = certain(files, read_tables(tmp_path)[0], ask=True)
    assert speaker is not None
    assert (speaker.column, len(speaker.distinct)) == ("speaker", 30)


def test_numbers_of_women_and_men_are_different_speakers() -> None:
    files = [
        f"{sex}/{number:02d}/{label}_{take}.wav"
        for sex, number, label, take in product(("female", "male"), range(3), EMOTIONS, range(2))
    ]
    speaker = certain(files, [], ask=False)
    assert speaker is not None
    assert speaker.distinct[:2] == ["female/00", "female/01"]
    assert len(speaker.distinct) == 6


def test_a_column_named_emotion_is_likelier_than_predictions(tmp_path: Path) -> None:
    files = [f"{number}.wav" for number in range(9)]
    for name, column in (("a.csv", "predicted"), ("b.csv", "emotion")):
        rows = [f"{file},{EMOTIONS[n % 3]}" for n, file in enumerate(files)]
        (tmp_path / name).write_text("\n".join([f"file,{column}", *rows]))
    listed = candidates(files, read_tables(tmp_path)[0])
    chosen = choose_emotion(emotion_candidates(listed), ask=True)
    assert chosen is not None
    assert chosen.column == "emotion"


def test_numbers_in_a_column_named_emotion(tmp_path: Path) -> None:
    files = [f"{number}.wav" for number in range(9)]
    rows = [f"{file},{n % 3}" for n, file in enumerate(files)]
    (tmp_path / "labels.csv").write_text("\n".join(["file,Emotion", *rows]))
    (emotion,) = emotion_candidates(candidates(files, read_tables(tmp_path)[0]))
    assert emotion.column == "Emotion"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a.wav,anna,sad\nb.wav,ben,sad\n", "labels.csv has no header; add a first line"),
        ("file|speaker\na.wav|anna\n", "labels.csv has less than two columns; separate them by"),
        (
            "file,text,speaker\na.wav,well, yes,anna\n",
            "labels.csv, line 2: has 4 fields and the he",
        ),
        ("file,label,label\na.wav,sad,happy\n", "labels.csv has two columns of the same name"),
        ("file,label\n", "labels.csv has no row below its header"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, text: str, problem: str) -> None:
    (tmp_path / "labels.csv").write_text(text)
    tables, (note,) = read_tables(tmp_path)
    assert tables == []
    assert note.startswith(problem)


@pytest.mark.parametrize(
    "form", ["{number:02d}_{emotion}/{speaker}.wav", "{speaker}_{emotion}7.wav"]
)
def test_emotions_in_parts_of_folders_and_beside_digits(form: str) -> None:
    files = [
        form.format(speaker=name, number=number, emotion=label)
        for name, (number, label) in product(SPEAKERS, enumerate(EMOTIONS))
    ]
    assert emotion_candidates(candidates(files, []))[0].distinct == sorted(EMOTIONS)


def test_words_mean_one_emotion() -> None:
    words = [word for text in EMOTION_WORDS.values() for word in text.split()]
    assert sorted(words) == sorted(set(words))
    assert emotion_class("Überraschung") == "surprise"
    assert emotion_class("U\u0308berraschung") == "surprise"
