"""CREMA-D: the acted label or one of three perceived ones, and the votes of the release."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from emoscale.config.corpus import ReleaseCorpus
from emoscale.corpus.readers import CorpusManifest, corpus_name, read_corpus
from emoscale.runtime.errors import CorpusError

VOTES = """"","A","D","F","H","N","S","fileName"
"100001",3,0,0,0,5,0,"1001_DFA_ANG_XX"
"200001",6,0,0,0,1,0,"1001_DFA_ANG_XX"
"300001",4,4,0,0,0,0,"1001_DFA_ANG_XX"
"100002",0,0,0,0,0,7,"1076_MTI_SAD_XX"
"""


def settings(root: Path, label: str | None) -> ReleaseCorpus:
    return ReleaseCorpus(reader="crema_d", root=str(root), label=label)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in ("AudioWAV/1001_DFA_ANG_XX.wav", "AudioWAV/1076_MTI_SAD_X.wav"):
        for path in (tmp_path / name, tmp_path / name.replace("WAV", "MP3")):
            path.parent.mkdir(exist_ok=True)
            path.touch()
    (tmp_path / "processedResults").mkdir()
    (tmp_path / "processedResults" / "tabulatedVotes.csv").write_text(VOTES)
    (tmp_path / "VideoDemographics.csv").write_text('"ActorID","Age","Sex"\n1001,51,"Male"\n')
    return tmp_path


def emotions(manifest: CorpusManifest) -> list[str]:
    return [each.emotion for each in manifest.utterances]


def test_each_label_and_its_votes(copy: Path) -> None:
    assert emotions(read_corpus(settings(copy, "acted"))) == ["anger", "sadness"]
    voice = read_corpus(settings(copy, "voice"))
    assert emotions(voice) == ["neutral", "sadness"]
    assert Counter(vote["label"] for vote in voice.utterances[0].votes or ()) == {
        "anger": 3,
        "neutral": 5,
    }
    first, second = voice.utterances
    assert (first.acted, first.sex, first.age, second.sex) == ("anger", "M", 51, None)
    assert second.utterance == "1076_MTI_SAD_X"
    assert emotions(read_corpus(settings(copy, "face"))) == ["anger"]
    both = read_corpus(settings(copy, "both"))
    assert emotions(both) == ["no agreement"]
    assert [(row.utterance, row.reason) for row in both.rejected] == [
        ("1076_MTI_SAD_X", "no label"),
        (None, "other counts"),
    ]


def test_the_label_must_be_chosen_and_is_named(copy: Path) -> None:
    with pytest.raises(CorpusError, match=r"label is missing: .* one of acted, voice, face, both"):
        read_corpus(settings(copy, None))
    assert corpus_name(settings(copy, "voice")) == "CREMA-D (labels: voice)"


@pytest.mark.parametrize("count", ["", "2.5", "x"])
def test_a_damaged_number_of_votes_is_reported(copy: Path, count: str) -> None:
    table = copy / "processedResults" / "tabulatedVotes.csv"
    table.write_text(VOTES.replace('"100001",3', f'"100001",{count}'))
    manifest = read_corpus(settings(copy, "voice"))
    assert emotions(manifest) == ["sadness"]
    assert [(row.utterance, row.reason) for row in manifest.rejected] == [
        ("1001_DFA_ANG_XX", "field not understood"),
        ("1001_DFA_ANG_XX", "no label"),
        (None, "other counts"),
    ]


def test_without_the_table_of_votes(copy: Path) -> None:
    (copy / "processedResults" / "tabulatedVotes.csv").unlink()
    assert {row.reason for row in read_corpus(settings(copy, "acted")).rejected} == {
        "missing",
        "other counts",
    }
    with pytest.raises(CorpusError, match=r"no table processedResults/tabulatedVotes.csv"):
        read_corpus(settings(copy, "voice"))
