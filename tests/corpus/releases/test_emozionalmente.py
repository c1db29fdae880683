"""Emozionalmente: the acted label or the one that most raters perceived."""

from __future__ import annotations

from pathlib import Path

import pytest

from emoscale.config.corpus import ReleaseCorpus
from emoscale.corpus.readers import CorpusManifest, read_corpus
from emoscale.runtime.errors import CorpusError
from tests.corpus.releases.trees_with_tables import write_files, write_table


def read(root: Path, label: str | None) -> CorpusManifest:
    return read_corpus(ReleaseCorpus(reader="emozionalmente", root=str(root), label=label))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    metadata = tmp_path / "emozionalmente_dataset" / "metadata"
    samples = [("1.wav", "anna", "ciao", "joy"), ("2.wav", "ben", "ciao", "fear")]
    samples += [("3.wav", "ben", "ciao", "neutrality"), ("4.wav", "", "ciao", "fear")]
    header = ("file_name", "actor", "sentence", "emotion_expressed")
    write_table(metadata / "samples.csv", header, samples)
    votes = [
        ("1.wav", rater, label) for rater, label in (("a", "joy"), ("b", "fear"), ("c", "fear"))
    ]
    votes += [("2.wav", "a", "fear"), ("2.wav", "b", "anger")]
    write_table(
        metadata / "evaluations.csv", ("file_name", "evaluator", "emotion_recognized"), votes
    )
    write_table(metadata / "users.csv", ("username", "gender", "age"), [("anna", "female", "")])
    write_files(metadata.parent / "audio", ["1.wav", "2.wav", "9.wav"])
    return tmp_path


def test_acted_and_perceived_labels(copy: Path) -> None:
    acted = read(copy, "acted")
    assert [each.emotion for each in acted.utterances] == ["happiness", "fear", "neutral"]
    assert [(each.sex, each.age, each.split) for each in acted.utterances[:2]] == [
        ("F", None, None),
        (None, None, None),
    ]
    perceived = read(copy, "perceived")
    assert [(each.emotion, each.acted) for each in perceived.utterances] == [
        ("fear", "happiness"),
        ("no agreement", "fear"),
    ]
    assert [(row.file, row.reason) for row in perceived.rejected] == [
        ("emozionalmente_dataset/audio/3.wav", "no label"),
        ("emozionalmente_dataset/metadata/samples.csv", "row not understood"),
        ("emozionalmente_dataset/audio/9.wav", "no label"),
        (".", "other counts"),
    ]


def test_the_label_must_be_chosen(copy: Path) -> None:
    with pytest.raises(CorpusError, match=r"label is missing: .* one of acted, perceived"):
        read(copy, None)
