from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emoscale.config.corpus import CsvCorpus
from emoscale.corpus.csv_table import read
from emoscale.corpus.readers import CorpusManifest
from emoscale.runtime.errors import CorpusError


def read_text(
    root: Path, text: str, table: str = "utterances.csv", **options: Any
) -> CorpusManifest:
    (root / table).write_text(text, encoding="utf-8")
    return read(CsvCorpus(reader="csv", root=str(root), table=table, **options))


def test_the_three_required_columns(tmp_path: Path) -> None:
    manifest = read_text(tmp_path, "file,speaker,emotion\na/one.wav,anna,happy\n")
    (utterance,) = manifest.utterances
    assert (utterance.utterance, utterance.audio) == ("a/one", "a/one.wav")
    assert (utterance.speaker, utterance.emotion) == ("anna", "happy")
    assert (utterance.session, utterance.sex, utterance.start) == (None, None, None)


def test_every_column_quotes_and_line_ends(tmp_path: Path) -> None:
    text = (
        "\ufeffemotion,file,speaker,session,sex,transcript,start,end,style\r\n"
        'sad,long.wav,Bö,s1,female,"Well, ""no""\nthen",0.5,1.25,scripted\r\n'
        "sad,long.wav,Bö,s1,F,,1.25,,\r\n\r\n"
    )
    first, second = read_text(tmp_path, text).utterances
    assert first.utterance == "long#0.5-1.25"
    assert (first.start, first.end, first.sex, first.style) == (0.5, 1.25, "F", "scripted")
    assert first.transcript == 'Well, "no"\nthen'
    assert (second.utterance, second.end, second.transcript) == ("long#1.25-", None, None)


def test_other_column_names_and_tabs(tmp_path: Path) -> None:
    text = "path\tspk\tlabel\tid\none.wav\t1\tanger\tu1\n"
    columns = {"file": "path", "speaker": "spk", "emotion": "label", "utterance": "id"}
    (utterance,) = read_text(tmp_path, text, "list.tsv", columns=columns).utterances
    assert (utterance.utterance, utterance.speaker) == ("u1", "1")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("one.wav,,happy,,,", "empty field"),
        ("one.wav,anna,,,,", "empty field"),
        (",anna,happy,,,", "empty field"),
        ("one.wav", "empty field"),
        ("/etc/passwd,anna,happy,,,", "outside the corpus"),
        ("../one.wav,anna,happy,,,", "outside the corpus"),
        ("one.wav,anna,bored,,,", "unknown label"),
        (".,anna,happy,,,", "outside the corpus"),
        ("one.wav,anna,happy,,,F,more", "too many fields"),
        ("one.wav,anna,happy,x,,", "field not understood"),
        ("one.wav,anna,happy,-1,,", "field not understood"),
        ("one.wav,anna,happy,nan,,", "field not understood"),
        ("one.wav,anna,happy,,,robot", "field not understood"),
        ("good.wav,anna,happy,,,", "duplicate key"),
    ],
)
def test_a_row_that_cannot_be_used_is_rejected_with_its_line(
    tmp_path: Path, row: str, reason: str
) -> None:
    header = "file,speaker,emotion,start,end,sex\ngood.wav,anna,happy,,,\n"
    manifest = read_text(tmp_path, header + row + "\n", emotions=["happy", "sad"])
    assert len(manifest.utterances) == 1
    assert [(r.reason, r.location, r.file) for r in manifest.rejected] == [
        (reason, "line 3", "utterances.csv")
    ]


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("file,speaker\na.wav,b\n", {}, "has no column emotion"),
        ("", {}, "has no column file"),
        ("file,speaker,emotion\n", {}, "no row can be used"),
        ("file,speaker,emotion\n,x,y\n", {}, "line 2: the row has no file"),
        ('file,speaker,emotion\n"a.wav,b,c\nd.wav,b,c\n', {}, "a quote that is not closed"),
        ("file,speaker,emotion,emotion\na.wav,b,c,d\n", {}, "has two columns emotion"),
        ("file,speaker,emotion\n", {"columns": {"colour": "c"}}, "names colour"),
        ("file,speaker,emotion\n", {"columns": {"sex": "gender"}}, "has no column gender"),
    ],
)
def test_a_table_that_cannot_be_used(
    tmp_path: Path, text: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(CorpusError, match=message):
        read_text(tmp_path, text, **options)


def test_a_missing_table_and_a_table_that_is_not_utf8(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"utterances\.csv does not exist: expected a table"):
        read(CsvCorpus(reader="csv", root=str(tmp_path)))
    (tmp_path / "utterances.csv").write_bytes(b"file,speaker,emotion\n\xff.wav,a,b\n")
    with pytest.raises(CorpusError, match="byte 21 is not UTF-8"):
        read(CsvCorpus(reader="csv", root=str(tmp_path)))
