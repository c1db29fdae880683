"""new_study.py: from a folder of recordings to a configuration that can be run."""

from __future__ import annotations

import csv
import os
from itertools import product
from pathlib import Path

import pytest
from click.testing import Result

from emoscale.config import parse_study
from emoscale.config.configuration_file import read_configuration_file
from emoscale.config.corpus import CsvCorpus
from emoscale.config.study import Study
from emoscale.corpus.readers import read_corpus
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
    assert "recognised as a copy of EMO-DB" in ran.stdout
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
        path.rename(path.with_name(f"{path.parent.name[0]}_{path.name}"))
    answers = iter([2])
    monkeypatch.setattr("click.prompt", lambda *_, **__: next(answers))
    ran, output = new_study(foreign)
    assert "What is the speaker?" in ran.stdout
    assert "1: folder 1 (3 values: anna, ben, cleo)" in ran.stdout
    with open(output.with_suffix(".csv"), encoding="utf-8") as table:
        assert {row["speaker"] for row in csv.DictReader(table)} == {"a", "b", "c"}


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
    assert "no part of the names and no table gives the speaker; write" in ran.stderr
    assert "labels.csv is not UTF-8; save it as UTF-8" in ran.stderr
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
    assert "is not printable UTF-8; rename it" in output.read_text()


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
    assert "no part of the names and no table gives the emotion; write" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_a_release_with_some_of_its_files_says_why_it_is_not_recognised(foreign: Path) -> None:
    (foreign / "03a01Fa.wav").touch()
    ran, _ = new_study(foreign, "--yes")
    assert "not EMO-DB: 1 recordings are named as its utterances; others: 60 name" in ran.stdout
