"""Several corpora as one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from emoscale.config import parse_settings
from emoscale.config.corpus import AudioChecks, CorpusSettings, LabelSettings, parts_of
from emoscale.corpus.labels import add_labels
from emoscale.corpus.readers import corpus_name, read_corpus, reader_modules
from emoscale.corpus.votes import add_vote_shares
from emoscale.runtime.errors import ConfigurationError, CorpusError
from emoscale.tables.parquet import write_table
from emoscale.tables.schemas import RECORDINGS
from tests.conftest import WriteWav
from tests.corpus.checked import check_recordings


@pytest.fixture
def combined_settings(tmp_path: Path, write_wav: WriteWav) -> Callable[..., Any]:
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


def test_names_are_prefixed_with_the_corpus(
    tmp_path: Path, combined_settings: Callable[..., Any]
) -> None:
    manifest = read_corpus(combined_settings())
    usable, rejected = check_recordings(manifest, tmp_path, AudioChecks())
    write_table(usable.select(RECORDINGS.names), tmp_path / "recordings.parquet", RECORDINGS)
    assert usable.select("utterance", "corpus", "audio", "speaker", "session").rows() == [
        ("emodb:03a01Fa", "emodb", "german/wav/03a01Fa.wav", "emodb:03", None),
        ("emodb:03a01Wa", "emodb", "german/wav/03a01Wa.wav", "emodb:03", None),
        ("emodb:16b10Wb", "emodb", "german/wav/16b10Wb.wav", "emodb:16", None),
        ("own:03a01Fa", "own", "own/03a01Fa.wav", "own:03", "own:s1"),
        ("own:other", "own", "own/other.wav", "own:04", "own:s1"),
    ]
    assert rejected.select("utterance", "file", "reason").rows() == [
        ("own:gone", "own/gone.wav", "missing"),
        (None, "german", "other counts"),
    ]


def test_rejected_entries_have_prefixed_names_and_paths(
    tmp_path: Path, combined_settings: Callable[..., Any]
) -> None:
    (tmp_path / "german" / "wav" / "hello.wav").touch()
    (tmp_path / "german" / "wav" / "03a01Xa.wav").touch()
    unknown, name, counts = read_corpus(combined_settings()).rejected
    assert (counts.file, counts.reason) == ("german", "other counts")
    assert (unknown.file, unknown.utterance) == ("german/wav/03a01Xa.wav", "emodb:03a01Xa")
    assert (name.file, name.utterance) == ("german/wav/hello.wav", None)


def test_a_missing_corpus_is_named(combined_settings: Callable[..., Any]) -> None:
    settings = combined_settings(third={"reader": "iemocap", "root": "nowhere"})
    with pytest.raises(
        CorpusError, match=r"corpora\.third \(whose root .*\): .*/nowhere does not ex"
    ):
        read_corpus(settings)


@pytest.mark.parametrize(
    ("corpora", "message"),
    [
        (
            {"a": {"reader": "several", "root": "a"}},
            "a has the reader several, which several does not",
        ),
        (
            {"a": {"reader": "csv", "root": "/data/a"}},
            r"root of a \(/data/a\) must be a path relative to corpus.root",
        ),
        (
            {"a": {"reader": "csv", "root": "../a"}},
            r"root of a \(\.\./a\) must be a path relative to",
        ),
        ({"a:b": {"reader": "csv", "root": "a"}}, "pattern"),
    ],
)
def test_invalid_corpora(
    combined_settings: Callable[..., Any], corpora: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        combined_settings(**corpora)


def test_roots_and_reader_modules_of_all_corpora(
    tmp_path: Path, combined_settings: Callable[..., Any]
) -> None:
    settings = combined_settings()
    assert [part.root for part in parts_of(settings)] == [
        str(tmp_path / "german"),
        str(tmp_path / "own"),
    ]
    assert reader_modules(settings) == [
        "emoscale.corpus.csv_table",
        "emoscale.corpus.releases.emodb",
        "emoscale.corpus.several",
    ]
    single = parse_settings(CorpusSettings, {"reader": "emodb", "root": "x"}, "corpus")
    assert parts_of(single) == [single]
    assert reader_modules(single) == ["emoscale.corpus.releases.emodb"]


def test_the_name_says_what_is_synthetic_and_which_labels_count(
    combined_settings: Callable[..., Any],
) -> None:
    demo = {"reader": "demo", "root": "results/generated"}
    crema_d = {"reader": "crema_d", "root": "crema_d", "label": "voice"}
    settings = combined_settings(demo=demo, crema_d=crema_d)
    assert corpus_name(settings) == "emodb, own, demo (synthetic speech), crema_d (labels: voice)"
    named = settings.model_copy(update={"name": "Four"})
    assert corpus_name(named) == "Four (partly synthetic speech)"


VOTES = [{"rater": "E1", "label": "up"}, {"rater": "E2", "label": "calm"}]
RECORDINGS_TABLE = pl.DataFrame(
    {
        "corpus": ["a", "b", "a", "b"],
        "emotion": ["up", "up", "calm", "calm"],
        "style": [None] * 4,
        "votes": [VOTES, VOTES, None, None],
    }
)


def test_a_label_may_be_in_another_class_in_another_corpus() -> None:
    settings = LabelSettings(classes={"joy": ["up"], "anger": ["b:up"], "calm": ["calm"]})
    labelled = add_labels(RECORDINGS_TABLE, settings)
    assert labelled["label"].to_list() == ["joy", "anger", "calm", "calm"]
    first, second, *_ = add_vote_shares(labelled, settings)["vote_shares"].to_list()
    assert {share["label"] for share in first} == {"joy", "calm"}
    assert {share["label"] for share in second} == {"anger", "calm"}
    of_one = LabelSettings(classes={"joy": ["a:up"], "calm": ["calm"]})
    assert add_labels(RECORDINGS_TABLE, of_one)["label"].to_list() == ["joy", None, "calm", "calm"]


@pytest.mark.parametrize("label", ["b:upp", "c:up"])
def test_a_corpus_specific_label_that_does_not_occur_is_an_error(label: str) -> None:
    settings = LabelSettings(classes={"joy": ["a:up", label], "calm": ["calm"]})
    message = (
        rf"class joy: no utterance has the label {label} \(available: a:calm, a:up, b:calm, b:up\)"
    )
    with pytest.raises(CorpusError, match=message):
        add_labels(RECORDINGS_TABLE, settings)
