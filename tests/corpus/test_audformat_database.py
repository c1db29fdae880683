"""Databases in audformat; the package writes those of the tests."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from emoscale.config.corpus import AudformatCorpus, ReleaseCorpus
from emoscale.corpus.readers import CorpusManifest, corpus_name, read_corpus
from emoscale.corpus.releases.emodb import AGES, MALE_SPEAKERS, RELEASE, SENTENCES
from emoscale.runtime.errors import CorpusError

audformat = pytest.importorskip("audformat", reason="audformat is missing: install the extra")

FILES = ["03a01Fa.wav", "16b10Wb.wav", "08a05Na.wav", "08a05Ta.wav"]
EMOTIONS = {
    "W": "anger", "L": "boredom", "E": "disgust", "A": "fear",
    "F": "happiness", "T": "sadness", "N": "neutral",
}  # fmt: skip


def emodb_database(files: list[str]) -> Any:
    """Return EMO-DB as audEERING publishes it, with a column of styles."""
    database = audformat.Database("emodb", languages=["de"])
    database.raters["gold"] = audformat.Rater()
    database.schemes["emotion"] = audformat.Scheme(labels=sorted(EMOTIONS.values()))
    database.schemes["style"] = audformat.Scheme("str")
    database.schemes["transcription"] = audformat.Scheme(labels=SENTENCES)
    database.schemes["speaker"] = audformat.Scheme(
        labels={
            name: {"gender": "male" if name in MALE_SPEAKERS else "female", "age": age}
            for name, age in AGES.items()
        }
    )
    columns = {
        "emotion": [EMOTIONS[file[5]] for file in files],
        "speaker": [file[:2] for file in files],
        "transcription": [file[2:5] for file in files],
        "style": ["scripted" for _ in files],
    }
    index = audformat.filewise_index(files)
    for table, names in (
        ("emotion", ["emotion"]),
        ("files", ["speaker", "transcription", "style"]),
    ):
        database[table] = audformat.Table(index)
        for name in names:
            database[table][name] = audformat.Column(scheme_id=name)
            database[table][name].set(columns[name])
    return database


def read(root: Path, **options: Any) -> CorpusManifest:
    return read_corpus(AudformatCorpus(reader="audformat", root=str(root), **options))


def add_table(
    database: Any, name: str, index: Any, columns: dict[str, list[Any]], **options: Any
) -> None:
    database[name] = audformat.Table(index, **options)
    for column, values in columns.items():
        rater = {"rater_id": column} if column in database.raters else {}
        database[name][column] = audformat.Column(scheme_id="emotion", **rater)
        database[name][column].set(values)


def assert_equal_to_the_release(root: Path, files: list[str]) -> None:
    emodb_database(files).save(str(root))
    manifest = read(root, columns={"style": "style"})
    release = RELEASE.read(ReleaseCorpus(reader="emodb", root=str(root)))
    by_key = {each.utterance: each for each in manifest.utterances}
    assert by_key == {each.utterance: each for each in release.utterances}
    assert manifest.rejected == []


def test_a_database_gives_the_utterances_of_the_release(tmp_path: Path) -> None:
    for file in FILES:
        (tmp_path / file).touch()
    assert_equal_to_the_release(tmp_path, FILES)


def test_a_database_of_the_real_corpus_gives_its_utterances(
    tmp_path: Path, emodb_root: Path
) -> None:
    files = sorted(path.name for path in emodb_root.iterdir() if path.suffix in (".wav", ".flac"))
    for file in files:
        (tmp_path / file).symlink_to(emodb_root / file)
    assert len(files) == 535
    assert_equal_to_the_release(tmp_path, files)


def test_segments_splits_and_rows_without_a_label(tmp_path: Path) -> None:
    database = emodb_database(FILES)
    database.drop_tables("emotion")
    kinds = {"train": "train", "devel": "dev", "test2": "test", "evaluation": "test"}
    for split, kind in kinds.items():
        database.splits[split] = audformat.Split(kind)
    index = audformat.segmented_index([FILES[0]] * 3, [0, "1.5s", "3s"], ["1.5s", "3s", None])
    labels = {"emotion": ["anger", "fear", None]}
    add_table(database, "emotion.train", index, labels, split_id="train")
    for file, split in zip(FILES[1:], list(kinds)[1:], strict=True):
        index = audformat.filewise_index([file])
        add_table(database, f"emotion.{split}", index, {"emotion": ["anger"]}, split_id=split)
    database.save(str(tmp_path))
    manifest = read(tmp_path)
    assert {(each.utterance, each.start, each.end, each.split) for each in manifest.utterances} == {
        ("03a01Fa#0.0-1.5", 0.0, 1.5, "train"),
        ("03a01Fa#1.5-3.0", 1.5, 3.0, "train"),
        ("16b10Wb", None, None, "dev"),
        ("08a05Na", None, None, "test2"),
        ("08a05Ta", None, None, "test-evaluation"),
    }
    assert {each.style for each in manifest.utterances} == {None}
    assert [(row.reason, row.file, row.utterance) for row in manifest.rejected] == [
        ("empty field", "db.yaml", FILES[0])
    ]
    assert [each.split for each in read(tmp_path, tables=["emotion.test2"]).utterances] == ["test2"]


def test_an_utterance_in_two_splits_is_an_error(tmp_path: Path) -> None:
    database = emodb_database(FILES)
    for split in ("train", "test"):
        database.splits[split] = audformat.Split(split)
        index = audformat.filewise_index(FILES[:1])
        add_table(database, split, index, {"emotion": ["happiness"]}, split_id=split)
    database.save(str(tmp_path))
    with pytest.raises(CorpusError, match=r"03a01Fa\.wav is in the splits test and train; list"):
        read(tmp_path)


def test_what_is_not_known_is_empty(tmp_path: Path) -> None:
    """Of two languages, and of a gender that is neither male nor female."""
    database = emodb_database(FILES)
    database.languages = ["deu", "eng"]
    database.schemes["speaker"].replace_labels({name: {"gender": "other"} for name in AGES})
    database.save(str(tmp_path))
    assert {(each.language, each.sex, each.age) for each in read(tmp_path).utterances} == {
        (None, None, None)
    }


def test_votes_are_a_table_with_a_column_for_each_rater(tmp_path: Path) -> None:
    database = emodb_database(FILES)
    for rater in ("anna", "ben"):
        database.raters[rater] = audformat.Rater()
    index = audformat.filewise_index([FILES[1], FILES[0], "other.wav", FILES[2]])
    votes = {"anna": ["anger", "fear", "anger", None], "ben": [None, "anger", "fear", None]}
    add_table(database, "votes", index, votes)
    database.save(str(tmp_path))
    with pytest.raises(CorpusError, match=r"overlapping data .*list those to use in corpus.tables"):
        read(tmp_path)
    manifest = read(tmp_path, votes="votes")
    assert [(each.emotion, each.votes) for each in manifest.utterances[:3]] == [
        ("happiness", [{"rater": "anna", "label": "fear"}, {"rater": "ben", "label": "anger"}]),
        ("anger", [{"rater": "anna", "label": "anger"}]),
        ("neutral", None),
    ]
    assert [row.reason for row in manifest.rejected] == ["unknown utterance"]
    assert "2 votes for other.wav, which is not a usable" in manifest.rejected[0].detail


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"columns": {"emotion": "mood"}},
            r"no utterance has a value of mood \(schemes: emotion, sp",
        ),
        ({"columns": {"sex": "sexe"}}, "name that of the sex under"),
        ({"columns": {"start": "begin"}}, "corpus.columns names start, which is not one of"),
        ({"tables": ["gold"]}, r"has no table gold \(actual tables: emotion, files\)"),
        ({"votes": "raters"}, "correct corpus.votes"),
        ({"tables": ["files"]}, "no utterance has a value of emotion"),
    ],
)
def test_names_that_the_database_does_not_have(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    emodb_database(FILES).save(str(tmp_path))
    with pytest.raises(CorpusError, match=message):
        read(tmp_path, **options)


def test_missing_and_damaged_databases(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"db\.yaml does not exist: expected a database in audf"):
        read(tmp_path)
    (tmp_path / "db.yaml").write_text("name: x\n")
    with pytest.raises(CorpusError, match=r"db\.yaml: .*; copy it again"):
        read(tmp_path)
    emodb_database(FILES).save(str(tmp_path))
    (tmp_path / "db.emotion.parquet").unlink()
    with pytest.raises(CorpusError, match="No file found for table"):
        read(tmp_path)


def test_nothing_in_a_database_is_executed(tmp_path: Path) -> None:
    emodb_database(FILES).save(str(tmp_path))
    header = tmp_path / "db.yaml"
    text = header.read_text()
    folder = tmp_path / "executed"
    header.write_text(f"{text}\nauthor: !!python/object/apply:os.mkdir ['{folder}']\n")
    with pytest.raises(CorpusError, match="could not determine a constructor"):
        read(tmp_path)
    header.write_text(text)
    emodb_database(FILES).save(str(tmp_path), storage_format="pkl")
    with pytest.raises(CorpusError, match=r"db\.emotion\.pkl is a pickle, which may execute code"):
        read(tmp_path)
    assert not folder.exists()


def test_without_the_package_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "audformat", None)
    with pytest.raises(CorpusError, match=r"pip install .*\[audformat\]"):
        read(tmp_path)


def test_the_name_is_that_of_the_folder() -> None:
    assert corpus_name(AudformatCorpus(reader="audformat", root="/data/emodb")) == "emodb"
