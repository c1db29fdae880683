"""new_study.py: from a folder of recordings to a configuration that can be run."""

from __future__ import annotations

import csv
import os
import shutil
from itertools import product
from pathlib import Path

import pytest
from click.testing import Result

from emoscale.config import parse_study
from emoscale.config.configuration_file import read_configuration_file
from emoscale.config.corpus import CsvCorpus
from emoscale.config.study import Study
from emoscale.corpus.readers import read_corpus
from tests.corpus.releases.trees import write_emodb
from tests.scripts.test_programs import invoke


def new_study(folder: Path, *options: str) -> tuple[Result, Path]:
    output = folder.parent / "study.yaml"
    return invoke("new_study.py", str(folder), "--output", str(output), *options), output


def written(output: Path) -> Study:
    return parse_study(read_configuration_file(output))


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Folders by speaker, with the emotions in German."""
    folder = tmp_path / "Übung 1"
    for speaker, emotion, take in product(("anna", "ben", "cleo"), ("Wut", "Freude"), range(10)):
        path = folder / speaker / f"rec-{take:02d}_{emotion}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def test_emodb_is_recognised(emodb_root: Path, tmp_path: Path) -> None:
    output = tmp_path / "emodb.yaml"
    ran = invoke("new_study.py", str(emodb_root), "--output", str(output), "--yes")
    assert ran.exit_code == 0, ran.stderr
    assert "recognised as a complete copy of EMO-DB" in ran.stdout
    assert "its table utterances.csv is read with corpus: {reader: csv, root: …}" in ran.stdout
    study = written(output)
    assert (study.corpus.reader, study.protocol.folds) == ("emodb", 5)
    assert len(study.labels.classes) == 7


def test_an_unknown_folder_gets_a_table(foreign: Path) -> None:
    ran, output = new_study(foreign, "--yes")
    assert ran.exit_code == 0, ran.stderr
    study = written(output)
    assert study.study == "bung_1"
    assert study.labels.classes == {"anger": ["Wut"], "happiness": ["Freude"]}
    utterances = read_corpus(study.corpus).utterances
    assert len(utterances) == 60
    assert {each.speaker for each in utterances} == {"anna", "ben", "cleo"}
    assert (study.protocol.fold_unit, study.protocol.folds) == ("speakers", 3)
    assert "speaker: folder 1 (3 values: anna, ben, cleo)" in output.read_text()
    assert f"--configfile {output}" in ran.stdout


def test_what_is_in_doubt_is_asked(foreign: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path in sorted(foreign.rglob("*.wav")):
        path.rename(path.with_name(f"{'xy'[int(path.name[5]) % 2]}_{path.name}"))
    answers = iter([2])
    monkeypatch.setattr("click.prompt", lambda *_, **__: next(answers))
    ran, output = new_study(foreign)
    assert "What is the speaker?" in ran.stdout
    assert "1: folder 1 (3 values: anna, ben, cleo)" in ran.stdout
    with open(output.with_suffix(".csv"), encoding="utf-8") as table:
        assert {row["speaker"] for row in csv.DictReader(table)} == {"x", "y"}


def test_tables_of_the_folder_are_used(foreign: Path) -> None:
    files = sorted(str(path.relative_to(foreign)) for path in foreign.rglob("*.wav"))
    rows = [f"{name},{name[:4]},{'angry' if 'Wut' in name else 'sad'}" for name in files]
    table = foreign / "utterances.csv"
    table.write_text("\n".join(["file,speaker,emotion", *rows, ""]))
    ran, output = new_study(foreign, "--yes")
    assert "described by its table utterances.csv" in ran.stdout
    assert written(output).labels.classes == {"anger": ["angry"], "sadness": ["sad"]}
    output.unlink()
    table.write_text("\n".join(["path,who,mood", *rows, ""]))
    ran, output = new_study(foreign, "--yes")
    assert "emotion: column mood of utterances.csv" in ran.stdout
    assert written(output).labels.classes == {"anger": ["angry"], "sadness": ["sad"]}


def test_a_table_with_other_column_names_is_read_in_its_folder(foreign: Path) -> None:
    files = sorted(str(path.relative_to(foreign)) for path in foreign.rglob("*.wav"))
    rows = [f"{name},{name[:4]},{'angry' if 'Wut' in name else 'sad'},test" for name in files]
    (foreign / "utterances.csv").write_text("\n".join(["file,speaker_id,label,split", *rows, ""]))
    ran, output = new_study(foreign, "--yes")
    assert ran.exit_code == 0, ran.stderr
    corpus = written(output).corpus
    assert isinstance(corpus, CsvCorpus)
    assert corpus.columns == {"speaker": "speaker_id", "emotion": "label"}
    assert {each.split for each in read_corpus(corpus).utterances} == {"test"}
    assert not output.with_suffix(".csv").exists()


def test_rows_of_a_table_that_are_not_used_are_counted(foreign: Path) -> None:
    files = sorted(str(path.relative_to(foreign)) for path in foreign.rglob("*.wav"))
    rows = [f"{name},{name[:4]},{'angry' if 'Wut' in name else 'sad'}" for name in files]
    rows += ["gone.wav,anna,sad", rows[0]]
    (foreign / "labels.csv").write_text("\n".join(["path,speaker,mood", *rows, ""]))
    ran, output = new_study(foreign, "--yes")
    assert ran.exit_code == 0, ran.stderr
    assert "not used: 2 rows of labels.csv, which name no recording" in output.read_text()


def test_without_a_speaker_nothing_is_guessed(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    for emotion, take in product(("angry", "sad"), range(12)):
        (folder / f"{emotion}_{take:02d}.wav").touch()
    (folder / "labels.csv").write_bytes(b"file,emotion\na,\xe4rger\n")
    ran, output = new_study(folder, "--yes")
    assert (
        "no table certainly gives the speaker; it may be part 2 of the file name: choose w"
        in ran.stderr
    )
    assert "labels.csv: byte 15 is not UTF-8; save it as UTF-8" in ran.stdout
    assert not output.exists()


@pytest.mark.parametrize("name", ["no", "2024", "Übung\nzwei"])
def test_names_that_yaml_or_a_comment_would_change(foreign: Path, name: str) -> None:
    folder = foreign.rename(foreign.with_name(name))
    ran, output = new_study(folder, "--yes")
    assert ran.exit_code == (1 if "\n" in name else 0)
    assert "Traceback" not in ran.stderr
    if "\n" in name:
        assert "cannot be printed" in ran.stderr
        assert not list(foreign.parent.glob("study.*"))
    else:
        assert written(output).study == name


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--name", "../a b"), "use letters, digits, - and _ only"),
        (("--output", "study.csv"), "name a file .yaml"),
    ],
)
def test_invalid_names_are_errors(foreign: Path, options: tuple[str, ...], message: str) -> None:
    ran = invoke("new_study.py", str(foreign), "--yes", *options)
    assert ran.exit_code == 1
    assert message in ran.stderr


def test_a_name_that_is_not_utf8_is_reported(foreign: Path) -> None:
    (foreign / "ben" / "rec-00_Wut.wav").rename(foreign / "ben" / os.fsdecode(b"\xe4.wav"))
    ran, output = new_study(foreign, "--yes")
    assert ran.exit_code == 0, ran.stderr
    assert (
        "are not printable UTF-8, or have spaces at their ends; rename them" in output.read_text()
    )


def test_parquet_files_are_unpacked_first(tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    folder.mkdir()
    (folder / "train-00000.parquet").touch()
    ran, _ = new_study(folder, "--yes")
    assert f"scripts/unpack_parquet.py {folder}" in ran.stderr


def test_an_existing_configuration_is_not_replaced(foreign: Path) -> None:
    _, output = new_study(foreign, "--yes")
    before = output.read_bytes()
    ran, _ = new_study(foreign, "--yes")
    assert ran.exit_code == 1
    assert "study.yaml exists; name another file with --output" in ran.stderr
    assert output.read_bytes() == before


def test_a_folder_without_recordings_or_emotions_is_an_error(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    ran, _ = new_study(folder, "--yes")
    assert "has no recording" in ran.stderr
    for name in ("a1.wav", "b2.wav"):
        (folder / name).touch()
    ran, _ = new_study(folder, "--yes")
    assert "no part of the names and no table certainly gives the emotion; write" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_release_with_some_of_its_files_says_why_it_is_not_recognised(foreign: Path) -> None:
    (foreign / "03a01Fa.wav").touch()
    ran, _ = new_study(foreign, "--yes")
    assert "not EMO-DB: 1 recordings are named as its utterances; others: 60 name" in ran.stdout


def described(tmp_path: Path, rows: list[str], columns: str = "file,speaker,emotion") -> Path:
    """Write a folder whose utterances.csv has these rows, with the recordings that they name."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "utterances.csv").write_text("\n".join([columns, *rows, ""]), encoding="utf-8")
    for row in rows:
        (folder / row.split(columns[4])[0].strip('"')).touch()
    return folder


def rows_of(
    *labels: str, takes: int = 12, form: str = "{speaker}_{number}_{take}.wav"
) -> list[str]:
    """Rows of three speakers with each label."""
    return [
        f"{form.format(speaker=speaker, number=number, take=take)},{speaker},{label}"
        for speaker in ("P1", "P2", "P3")
        for number, label in enumerate(labels)
        for take in range(takes)
    ]


def test_a_table_has_precedence_over_names_like_those_of_a_release(tmp_path: Path) -> None:
    rows = rows_of("bored", "tired", form="{speaker}_anger_{number}{take}.wav")
    ran, output = new_study(described(tmp_path, rows), "--yes")
    assert ran.exit_code == 0, ran.stderr
    study = written(output)
    assert study.corpus.reader == "csv"
    assert study.labels.classes == {"boredom": ["bored"], "tired": ["tired"]}


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_a_table_with_other_delimiters(tmp_path: Path, delimiter: str) -> None:
    rows = [row.replace(",", delimiter) for row in rows_of("angry", "sad")]
    folder = described(tmp_path, rows, delimiter.join(("file", "speaker", "emotion")))
    ran, output = new_study(folder, "--yes")
    assert ran.exit_code == 0, ran.stderr
    assert len(read_corpus(written(output).corpus).utterances) == 72


def test_labels_of_a_table_need_not_be_known_emotions(tmp_path: Path) -> None:
    folder = described(tmp_path, rows_of("0", "1", "no way", "怒り", "unknown"))
    ran, output = new_study(folder, "--yes")
    assert ran.exit_code == 0, ran.stderr
    classes = {"0": ["0"], "1": ["1"], "class4": ["怒り"], "no_way": ["no way"]}
    assert written(output).labels.classes == classes


def test_a_label_with_a_line_break(tmp_path: Path) -> None:
    rows = [*rows_of("angry", "sad"), 'x.wav,P1,"ha\nppy"']
    ran, output = new_study(described(tmp_path, rows), "--yes")
    assert ran.exit_code == 0, ran.stderr
    assert r"# not used: ha\nppy (only 1 utterances; speakers: 1)" in output.read_text()


def test_recordings_that_do_not_exist_are_not_counted(tmp_path: Path) -> None:
    folder = described(tmp_path, rows_of("angry", "sad", "happy"))
    for path in folder.glob("P?_2_*.wav"):
        path.unlink()
    (folder / "P1_0_0.wav").unlink()
    (folder / "P1_0_0.wav").symlink_to(tmp_path / "elsewhere.wav")
    (tmp_path / "elsewhere.wav").touch()
    ran, output = new_study(folder, "--yes")
    assert ran.exit_code == 0, ran.stderr
    assert written(output).labels.classes == {"anger": ["angry"], "sadness": ["sad"]}
    assert "not used: 37 recordings do not exist in" in output.read_text()
    assert "# Emotion in corpus: 71 utterances" in output.read_text()
    for path in folder.glob("*.wav"):
        path.unlink()
    output.unlink()
    ran, _ = new_study(folder, "--yes")
    assert "108 recordings do not exist in" in ran.stderr


def test_a_damaged_table_is_an_error(tmp_path: Path) -> None:
    folder = described(tmp_path, [*rows_of("angry", "sad"), '"x.wav,P1,sad'])
    ran, output = new_study(folder, "--yes")
    assert "utterances.csv, line 74: " in ran.stderr
    assert not output.exists()


def test_a_small_folder_with_the_names_of_a_release_is_confirmed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for speaker, emotion, take in product(("P1", "P2", "P3"), ("anger", "sadness"), range(12)):
        (folder / f"{speaker}_{emotion}_{take}.wav").touch()
    monkeypatch.setattr("click.confirm", lambda *_: False)
    monkeypatch.setattr("click.prompt", lambda *_, **__: 1)
    ran, output = new_study(folder)
    assert "this copy has 72 of the 4,481 utterances of nEMO" in ran.stdout
    assert written(output).corpus.reader == "csv"
    output.unlink()
    output.with_suffix(".csv").unlink()
    ran, output = new_study(folder, "--yes")
    assert written(output).corpus.reader == "nemo"
    assert "# - this copy has 72 of the 4,481 utterances of nEMO" in output.read_text()


def test_an_error_says_what_was_recognised(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for take in range(12):
        (folder / f"P1_anger_{take}.wav").touch()
    ran, output = new_study(folder, "--yes")
    assert ran.exit_code == 1
    assert "recognised as a copy of nEMO" in ran.stdout
    assert not output.exists()


def test_none_of_the_candidates(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "corpus"
    for emotion, take in product(("angry", "sad"), range(12)):
        (folder / "anna" / emotion).mkdir(parents=True, exist_ok=True)
        (folder / "anna" / emotion / f"{take}.wav").touch()
    monkeypatch.setattr("click.prompt", lambda *_, **__: 0)
    ran, _ = new_study(folder)
    assert "0: none of these" in ran.stdout
    assert "utterances.csv with the columns file, speaker and emotion" in ran.stderr


def test_another_file_named_db_yaml(foreign: Path) -> None:
    (foreign / "db.yaml").write_text("host: localhost\n")
    ran, output = new_study(foreign, "--yes")
    assert ran.exit_code == 0, ran.stderr
    assert "db.yaml is not read: without usage, it is not in audformat" in output.read_text()


def test_an_output_that_cannot_be_written(foreign: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    output = tmp_path / "file" / "study.yaml"
    ran = invoke("new_study.py", str(foreign), "--yes", "--output", str(output))
    assert "study.yaml cannot be written: " in ran.stderr


def test_recordings_beside_those_of_a_release_are_counted(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    write_emodb(folder)
    (folder / "own").mkdir()
    for take in range(9):
        (folder / "own" / f"anna_Wut_{take}.wav").touch()
    ran, _ = new_study(folder, "--yes")
    assert (
        "not used: 9 recordings that are not listed as utterances (first: own/anna_Wut_0.wav)"
        in ran.stdout
    )


def test_recordings_beside_a_table_are_counted(tmp_path: Path) -> None:
    folder = described(tmp_path, [*rows_of("angry", "sad"), "rejected.wav,,sad"])
    (folder / "other.wav").touch()
    ran, _ = new_study(folder, "--yes")
    assert "  the row has no speaker" in ran.stdout
    assert (
        "not used: 1 recordings that are not listed as utterances (first: other.wav)" in ran.stdout
    )


def test_utterances_csv_beside_a_table_like_it(tmp_path: Path) -> None:
    folder = described(tmp_path, rows_of("angry", "sad"))
    text = (folder / "utterances.csv").read_text()
    (folder / "labels.csv").write_text(text.replace("angry", "happy"))
    ran, output = new_study(folder, "--yes")
    assert ran.exit_code == 0, ran.stderr
    assert written(output).labels.classes == {"anger": ["angry"], "sadness": ["sad"]}


def test_speakers_that_differ_in_case(tmp_path: Path) -> None:
    rows = rows_of("angry", "sad")
    rows += [f"x{row.replace('P1', 'p1')}" for row in rows if "P1" in row]
    ran, _ = new_study(described(tmp_path, rows), "--yes")
    assert "some speakers differ only in upper and lower case" in ran.stdout


def test_recordings_without_an_emotion_are_not_used(foreign: Path) -> None:
    (foreign / "anna" / "intro.wav").touch()
    ran, output = new_study(foreign, "--yes")
    assert "1 recordings without speaker or emotion (first: anna/intro.wav)" in ran.stdout
    assert len(read_corpus(written(output).corpus).utterances) == 60


def test_labels_that_would_have_the_same_name_are_different_classes(tmp_path: Path) -> None:
    ran, output = new_study(described(tmp_path, rows_of("-1", "1", "very+", "very-")), "--yes")
    assert ran.exit_code == 0, ran.stderr
    classes = {"1": ["1"], "class2": ["-1"], "class4": ["very-"], "very": ["very+"]}
    assert written(output).labels.classes == classes


def test_copies_in_another_folder_are_left_out(foreign: Path) -> None:
    shutil.copytree(foreign, foreign / "backup")
    ran, output = new_study(foreign, "--yes")
    assert ran.exit_code == 0, ran.stderr
    assert "not used: 60 recordings whose path below another folder is the same" in ran.stdout
    assert {each.speaker for each in read_corpus(written(output).corpus).utterances} == {
        "anna",
        "ben",
        "cleo",
    }


def test_tables_that_contradict_each_other_are_an_error(foreign: Path) -> None:
    files = sorted(str(path.relative_to(foreign)) for path in foreign.rglob("*.wav"))
    for rater in (0, 1):
        rows = [f"{name},{('sad', 'angry')[(n + rater) % 2]}" for n, name in enumerate(files)]
        (foreign / f"rater{rater}.csv").write_text("\n".join(["file,emotion", *rows, ""]))
    ran, _ = new_study(foreign, "--yes")
    assert "rows of rater0.csv and 1 like it give 60 recordings different values of" in ran.stderr


def test_a_table_of_segments_with_other_column_names(tmp_path: Path) -> None:
    rows = [
        f"{speaker}.wav,{speaker},{label},{start},{start + 1}"
        for speaker in ("P1", "P2", "P3")
        for start, label in enumerate(["angry", "sad"] * 12)
    ]
    folder = described(tmp_path, rows, "file,spk,label,start,end")
    ran, output = new_study(folder, "--yes")
    assert ran.exit_code == 0, ran.stderr
    assert len(read_corpus(written(output).corpus).utterances) == 72
    assert "not used" not in output.read_text()
