"""Published corpora whose metadata is in file names: common traps of their copies."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from emoscale.config.corpus import RELEASES, ReleaseCorpus
from emoscale.corpus.readers import READERS, CorpusManifest, corpus_name
from emoscale.corpus.release import NamedFiles, Release, read_rows
from emoscale.runtime.errors import CorpusError

TOY = Release(
    name="Toy",
    layout="anna/Colère_01.wav",
    language="fr",
    style="scripted",
    counts={"anger": 2, "sadness": 1},
    read_utterances=NamedFiles(
        pattern=r"(?P<speaker>\w+)/(?P<emotion>Colère|Co|Triste)_(?P<transcript>\d\d)",
        emotions={"Colère": "anger", "Triste": "sadness"},
        values={"transcript": {"01": "Bonjour."}},
        key="{speaker}_{stem}",
    ),
)


def read(root: Path, *names: str) -> CorpusManifest:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return TOY.read(ReleaseCorpus(reader="emodb", root=str(root)))


def test_copies_with_a_tree_in_itself_give_each_recording_once(tmp_path: Path) -> None:
    names = ("anna/Colère_01.wav", "anna/Triste_01.wav", "ben/Colère_01.wav")
    manifest = read(tmp_path, *names, *(f"copy/{name}" for name in names))
    assert [each.utterance for each in manifest.utterances] == [
        "anna_Colère_01",
        "anna_Triste_01",
        "ben_Colère_01",
    ]
    assert {each.language for each in manifest.utterances} == {"fr"}
    assert [row.reason for row in manifest.rejected] == ["duplicate key"] * 3


def test_files_of_macos_are_not_recordings(tmp_path: Path) -> None:
    manifest = read(
        tmp_path, "anna/Colère_01.wav", "anna/._Colère_01.wav", "__MACOSX/anna/Triste_01.wav"
    )
    assert [each.utterance for each in manifest.utterances] == ["anna_Colère_01"]
    assert [row.detail for row in manifest.rejected] == [
        "this copy has 1 of the 3 utterances of Toy: 1 of 2 anger, 0 of 1 sadness"
    ]


def test_accents_in_two_characters_are_read_as_one(tmp_path: Path) -> None:
    name = unicodedata.normalize("NFD", "anna/Colère_01.wav")
    (utterance,) = read(tmp_path, name).utterances
    assert utterance.emotion == "anger"
    assert (tmp_path / utterance.audio).exists()


def test_what_is_not_understood_is_rejected(tmp_path: Path) -> None:
    manifest = read(tmp_path, "anna/Colère_01.wav", "anna/Co_01.wav", "anna/hello.wav")
    assert [(row.file, row.reason) for row in manifest.rejected] == [
        ("anna/Co_01.wav", "unknown label"),
        ("anna/hello.wav", "name not understood"),
        (".", "other counts"),
    ]


def test_a_folder_without_utterances_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"has no utterance of Toy: expected files such as anna"):
        read(tmp_path)
    with pytest.raises(CorpusError, match=r"that has them; the first reason: hello.wav is not"):
        read(tmp_path, "hello.wav")


def test_values_of_groups_and_defaults_of_the_release(tmp_path: Path) -> None:
    first, second = read(tmp_path, "anna/Colère_01.wav", "anna/Colère_02.wav").utterances
    assert (first.transcript, second.transcript) == ("Bonjour.", None)
    assert (first.language, first.style) == ("fr", "scripted")


def test_a_label_that_the_corpus_does_not_have_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="have one label each; remove it"):
        TOY.read(ReleaseCorpus(reader="emodb", root=str(tmp_path), label="acted"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,b\n\xff,1\n", "byte 4 is not utf-8"),
        (b'a,b\n"1,2\n', "unexpected end of data"),
        (b"", "is empty"),
    ],
)
def test_damaged_tables_are_errors(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(CorpusError, match=f"table.csv.*{message}"):
        read_rows(tmp_path, "other.csv", "table.csv")
    with pytest.raises(CorpusError, match=r"has no table missing.csv; copy it from the release"):
        read_rows(tmp_path, "missing.csv")


def test_fields_have_no_spaces_and_short_rows_have_empty_ones(tmp_path: Path) -> None:
    (tmp_path / "table.tsv").write_text("name \t age\n anna\t 30 \nben\n\n")
    assert read_rows(tmp_path, "table.tsv", delimiter="\t") == [
        {"name": "anna", "age": "30"},
        {"name": "ben", "age": ""},
    ]
    with pytest.raises(CorpusError, match=r"table.tsv has no column sex; copy it from the release"):
        read_rows(tmp_path, "table.tsv", columns=("name", "sex"), delimiter="\t")


@pytest.mark.parametrize("name", RELEASES)
def test_every_release_has_a_name_and_a_layout(name: str) -> None:
    assert READERS[name] == f"emoscale.corpus.releases.{name}"
    assert corpus_name(ReleaseCorpus(reader=name, root="x"))
