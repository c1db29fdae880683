from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emoscale.config.corpus import AudioChecks, CsvCorpus, LabelSettings
from emoscale.corpus.csv_table import read
from emoscale.corpus.readers import CorpusManifest
from emoscale.corpus.votes import add_vote_shares
from emoscale.runtime.errors import CorpusError
from tests.conftest import WriteWav
from tests.corpus.checked import check_recordings


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


def test_columns_of_a_release(tmp_path: Path) -> None:
    text = (
        "file,speaker,emotion,acted,intensity,split,language,age\n"
        "a.wav,1,anger,sadness,strong,Validation,de,31\n"
        "b.wav,1,anger,,,Test1,,\n"
        "c.wav,1,anger,,,,,young\n"
    )
    manifest = read_text(tmp_path, text)
    first, second = manifest.utterances
    assert (first.acted, first.intensity, first.split) == ("sadness", "strong", "dev")
    assert (first.language, first.age) == ("de", 31.0)
    assert (second.acted, second.split, second.language, second.age) == (None, "test1", None, None)
    assert manifest.rejected[0].detail == "age is young, not an age in years"


ROWS = "file,speaker,emotion\na/one.wav,anna,happy\ntwo.wav,ben,sad\nthree.wav,ben,sad\n"


def test_a_table_of_votes(tmp_path: Path) -> None:
    (tmp_path / "votes.tsv").write_text(
        "rater\tlabel\tutterance\nR1\thappy\ta/one\nR2\tsad\ta/one\nR1\tsad\ttwo\nR1\thappy\ttwo\n"
    )
    manifest = read_text(tmp_path, ROWS, votes="votes.tsv")
    assert [each.votes for each in manifest.utterances] == [
        [{"rater": "R1", "label": "happy"}, {"rater": "R2", "label": "sad"}],
        [{"rater": "R1", "label": "sad"}, {"rater": "R1", "label": "happy"}],
        None,
    ]
    assert manifest.rejected == []


def test_both_kinds_of_votes_become_vote_shares(tmp_path: Path, write_wav: WriteWav) -> None:
    """What `training.targets: votes` trains on."""
    write_wav("a.wav")
    (tmp_path / "votes.csv").write_text(
        "utterance,rater,label\na,R1,happy\na,R2,sad\na,R3,sad\na,R4,sad\na,R5,bored\n"
    )
    text = "file,speaker,emotion,H,S,B\na.wav,1,sad,1,3,1\n"
    for options in ({"votes": "votes.csv"}, {"vote_columns": {"happy": "H", "sad": "S", "b": "B"}}):
        manifest = read_text(tmp_path, text, **options)
        recordings, _ = check_recordings(manifest, tmp_path, AudioChecks())
        classes = LabelSettings(classes={"joy": ["happy"], "grief": ["sad"]})
        assert add_vote_shares(recordings, classes)["vote_shares"].to_list() == [
            [{"label": "grief", "share": 0.75}, {"label": "joy", "share": 0.25}]
        ]


def test_votes_that_cannot_be_used_are_rejected(tmp_path: Path) -> None:
    lines = ["two,R1,sad", "two,R1,sad", "two,R1,bored", "two,,sad", "six,R1,sad", "six,R2,sad"]
    (tmp_path / "votes.csv").write_text("\n".join(["utterance,rater,label", *lines, ""]))
    manifest = read_text(tmp_path, ROWS, votes="votes.csv", emotions=["happy", "sad"])
    assert [each.votes for each in manifest.utterances] == [
        None,
        [{"rater": "R1", "label": "sad"}],
        None,
    ]
    assert [(row.reason, row.location, row.utterance, row.file) for row in manifest.rejected] == [
        ("duplicate vote", "line 3", "two", "votes.csv"),
        ("unknown label", "line 4", "two", "votes.csv"),
        ("empty field", "line 5", "two", "votes.csv"),
        ("unknown utterance", None, "six", "votes.csv"),
    ]
    assert "2 votes for six, which is not a usable utterance" in manifest.rejected[-1].detail


def test_columns_with_numbers_of_votes(tmp_path: Path) -> None:
    text = (
        "file,speaker,emotion,H,sad\na.wav,1,happy,2,1\nb.wav,1,sad,,\n"
        "c.wav,1,sad,0,0.5\nd.wav,1,sad,-1,1\n"
    )
    manifest = read_text(tmp_path, text, vote_columns={"happy": "H", "sad": "sad"})
    assert [each.votes for each in manifest.utterances] == [
        [
            {"rater": "1", "label": "happy"},
            {"rater": "2", "label": "happy"},
            {"rater": "3", "label": "sad"},
        ],
        None,
    ]
    assert [(row.location, row.detail) for row in manifest.rejected] == [
        ("line 4", "the number of votes for sad is 0.5, not an integer"),
        ("line 5", "the number of votes for happy is -1, not an integer"),
    ]


@pytest.mark.parametrize(
    ("votes", "message"),
    [
        (
            None,
            r"votes\.csv does not exist; set .* corpus.votes to a table with the columns utterance",
        ),
        ("utterance,label\n", r"has no column rater \(.*\); rename a column of the table"),
        ("utterance,rater,label\n", "no vote can be used: the table has no rows"),
        (
            "utterance,rater,label\none,R1,sad\n",
            r"no vote can be used: 1 vote for one, which is not .* \(such as a/one\)",
        ),
    ],
)
def test_a_table_of_votes_that_cannot_be_used(
    tmp_path: Path, votes: str | None, message: str
) -> None:
    if votes is not None:
        (tmp_path / "votes.csv").write_text(votes)
    with pytest.raises(CorpusError, match=message):
        read_text(tmp_path, ROWS, votes="votes.csv")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"votes": "votes.csv", "vote_columns": {"sad": "n"}}, "both set; remove one"),
        ({"emotions": ["sad"], "vote_columns": {"happy": "n"}}, "not listed under emotions"),
    ],
)
def test_contradictory_settings_of_votes(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CsvCorpus(reader="csv", root="x", **options)


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
        (ROWS, {"vote_columns": {"sad": "S"}}, r"has no column S .*; correct corpus.vote_columns"),
    ],
)
def test_a_table_that_cannot_be_used(
    tmp_path: Path, text: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(CorpusError, match=message):
        read_text(tmp_path, text, **options)


def test_a_missing_table_and_a_table_that_is_not_utf8(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"utterances\.csv does not exist; set corpus.root and"):
        read(CsvCorpus(reader="csv", root=str(tmp_path)))
    (tmp_path / "utterances.csv").write_bytes(b"file,speaker,emotion\n\xff.wav,a,b\n")
    with pytest.raises(CorpusError, match="byte 21 is not UTF-8"):
        read(CsvCorpus(reader="csv", root=str(tmp_path)))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_delimiters(tmp_path: Path, delimiter: str) -> None:
    lines = ["file,speaker,emotion", "a.wav,anna,sad"]
    text = "\n".join(lines).replace(",", delimiter).replace("emotion", '"emotion (a, b, c, d)"')
    columns = {"emotion": "emotion (a, b, c, d)"}
    (utterance,) = read_text(tmp_path, text, columns=columns).utterances
    assert utterance.emotion == "sad"
