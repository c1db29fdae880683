"""Several corpora as one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from emoscale.config import parse_settings
from emoscale.config.corpus import AudioChecks, CorpusSettings, LabelSettings, parts_of
from emoscale.corpus.labels import give_labels
from emoscale.corpus.reading import modules_of, read_corpus
from emoscale.corpus.votes import give_vote_shares
from emoscale.runtime.errors import ConfigurationError, CorpusError
from emoscale.tables.parquet import write_table
from emoscale.tables.schemas import RECORDINGS
from tests.conftest import WriteWav
from tests.corpus.checked import check_recordings


@pytest.fixture
def together(tmp_path: Path, write_wav: WriteWav) -> Callable[..., Any]:
    """Settings of EMO-DB files (in `german/wav`) and a table (in `own`) that share a key."""
    for number, name in enumerate(("03a01Fa", "03a01Wa", "16b10Wb")):
        write_wav(f"german/wav/{name}.wav", frequency=200.0 + 50 * number, rate=8_000)
    write_wav("own/03a01Fa.wav", frequency=600.0)
    write_wav("own/other.wav", frequency=700.0)
    rows = ["file,speaker,emotion,session", "03a01Fa.wav,03,anger,s1", "other.wav,04,happiness,s1"]
    (tmp_path / "own" / "utterances.csv").write_text("\n".join([*rows, "gone.wav,04,anger,s1", ""]))

    def settings(**corpora: Any) -> Any:
        two = {
            "emodb": {"reader": "emodb", "root": "german"},
            "own": {"reader": "csv", "root": "own"},
        }
        value = {"reader": "several", "root": str(tmp_path), "corpora": {**two, **corpora}}
        return parse_settings(CorpusSettings, value, "corpus")

    return settings


def test_names_have_the_corpus_before_them(tmp_path: Path, together: Callable[..., Any]) -> None:
    reading = read_corpus(together())
    usable, rejected = check_recordings(reading, tmp_path, AudioChecks())
    write_table(usable.select(RECORDINGS.names), tmp_path / "recordings.parquet", RECORDINGS)
    assert usable.select("utterance", "corpus", "audio", "speaker", "session").rows() == [
        ("emodb:03a01Fa", "emodb", "german/wav/03a01Fa.wav", "emodb:03", None),
        ("emodb:03a01Wa", "emodb", "german/wav/03a01Wa.wav", "emodb:03", None),
        ("emodb:16b10Wb", "emodb", "german/wav/16b10Wb.wav", "emodb:16", None),
        ("own:03a01Fa", "own", "own/03a01Fa.wav", "own:03", "own:s1"),
        ("own:other", "own", "own/other.wav", "own:04", "own:s1"),
    ]
    assert rejected.select("utterance", "file", "reason").rows() == [
        ("own:gone", "own/gone.wav", "missing")
    ]


def test_what_readers_reject_has_its_place(tmp_path: Path, together: Callable[..., Any]) -> None:
    (tmp_path / "german" / "wav" / "hello.wav").touch()
    (tmp_path / "german" / "wav" / "03a01Xa.wav").touch()
    (unknown, name) = sorted(
        read_corpus(together()).rejected, key=lambda row: row.reason, reverse=True
    )
    assert (unknown.file, unknown.utterance) == ("german/wav/03a01Xa.wav", "emodb:03a01Xa")
    assert (name.file, name.utterance) == ("german/wav/hello.wav", None)


def test_a_corpus_that_is_not_there_is_named(together: Callable[..., Any]) -> None:
    settings = together(third={"reader": "iemocap", "root": "nowhere"})
    with pytest.raises(
        CorpusError, match=r"corpora\.third \(whose root .*\): .*/nowhere does not ex"
    ):
        read_corpus(settings)


@pytest.mark.parametrize(
    ("corpora", "sentence"),
    [
        (
            {"a": {"reader": "demo", "root": "a"}},
            "a has the reader demo, which cannot be one of sev",
        ),
        ({"a": {"reader": "several", "root": "a"}}, "a has the reader several, which cannot be"),
        (
            {"a": {"reader": "csv", "root": "/data/a"}},
            r"root of a \(/data/a\) must lie in corpus.root",
        ),
        ({"a": {"reader": "csv", "root": "../a"}}, r"root of a \(\.\./a\) must lie in corpus.root"),
        ({"a:b": {"reader": "csv", "root": "a"}}, "pattern"),
    ],
)
def test_corpora_that_cannot_be(
    together: Callable[..., Any], corpora: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        together(**corpora)


def test_the_roots_and_modules_of_all_of_them(tmp_path: Path, together: Callable[..., Any]) -> None:
    settings = together()
    assert [part.root for part in parts_of(settings)] == [
        str(tmp_path / "german"),
        str(tmp_path / "own"),
    ]
    assert modules_of(settings) == [
        "emoscale.corpus.csv_table",
        "emoscale.corpus.emodb",
        "emoscale.corpus.several",
    ]
    alone = parse_settings(CorpusSettings, {"reader": "emodb", "root": "x"}, "corpus")
    assert parts_of(alone) == [alone]
    assert modules_of(alone) == ["emoscale.corpus.emodb"]


VOTES = [{"rater": "E1", "label": "up"}, {"rater": "E2", "label": "calm"}]
RECORDED = pl.DataFrame(
    {
        "corpus": ["a", "b", "a", "b"],
        "emotion": ["up", "up", "calm", "calm"],
        "style": [None] * 4,
        "votes": [VOTES, VOTES, None, None],
    }
)


def test_a_word_may_mean_something_else_in_another_corpus() -> None:
    settings = LabelSettings(classes={"joy": ["up"], "anger": ["b:up"], "calm": ["calm"]})
    labelled = give_labels(RECORDED, settings)
    assert labelled["label"].to_list() == ["joy", "anger", "calm", "calm"]
    first, second, *_ = give_vote_shares(labelled, settings)["vote_shares"].to_list()
    assert {share["label"] for share in first} == {"joy", "calm"}
    assert {share["label"] for share in second} == {"anger", "calm"}
    of_one = LabelSettings(classes={"joy": ["a:up"], "calm": ["calm"]})
    assert give_labels(RECORDED, of_one)["label"].to_list() == ["joy", None, "calm", "calm"]


@pytest.mark.parametrize("label", ["b:upp", "c:up"])
def test_a_label_of_one_corpus_that_it_does_not_have(label: str) -> None:
    settings = LabelSettings(classes={"joy": ["a:up", label], "calm": ["calm"]})
    sentence = (
        rf"class joy: no utterance has the label {label} \(there: a:calm, a:up, b:calm, b:up\)"
    )
    with pytest.raises(CorpusError, match=sentence):
        give_labels(RECORDED, settings)
