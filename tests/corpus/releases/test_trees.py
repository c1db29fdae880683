"""Every published corpus with metadata in file names is read to the counts of its release."""

from __future__ import annotations

import importlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from emoscale.config.corpus import ReleaseCorpus
from emoscale.corpus.readers import READERS, CorpusManifest, read_corpus
from emoscale.corpus.release import Release
from tests.corpus.releases.trees import TREES

LABELS = {"crema_d": "acted"}

EXAMPLES: dict[str, dict[str, Any]] = {
    "aesdd": {
        "utterance": "d03_1",
        "speaker": "1",
        "sex": "M",
        "emotion": "disgust",
        "language": "el",
    },
    "ased": {"utterance": "S4-04-02-01-29", "speaker": "29", "sex": "F", "emotion": "sadness"},
    "baved": {
        "utterance": "3-m-23-0-0-3",
        "sex": "M",
        "age": 23,
        "emotion": "low",
        "transcript": "اعجبني",
    },
    "cafe": {
        "utterance": "03-C-2-1",
        "sex": "M",
        "emotion": "anger",
        "intensity": "strong",
        "transcript": "Un cheval fou dans mon jardin.",
    },
    "casia": {"utterance": "wangzhe_happy_201", "speaker": "wangzhe", "emotion": "happiness"},
    "crema_d": {"utterance": "1001_IEO_FEA_HI", "speaker": "1001", "intensity": "high", "age": 21},
    "emodb": {"utterance": "03a01Wa", "sex": "M", "age": 31, "emotion": "anger"},
    "emov_db": {
        "utterance": "sam_disgusted_1-28_0002",
        "speaker": "sam",
        "sex": "M",
        "emotion": "disgust",
        "transcript": "Sentence 2, and more.",
    },
    "emovo": {
        "utterance": "gio-f1-d1",
        "sex": "F",
        "emotion": "happiness",
        "transcript": "Sabato sera cosa farà?",
    },
    "jl_corpus": {
        "utterance": "female1_angry_1a_1",
        "sex": "F",
        "transcript": "Jack views an art piece",
    },
    "mead": {
        "utterance": "W009_disgusted_2_001",
        "speaker": "W009",
        "sex": "F",
        "intensity": "2",
        "emotion": "disgust",
    },
    "nemo": {
        "utterance": "EB0_surprised_3",
        "sex": "F",
        "age": 24,
        "emotion": "surprise",
        "transcript": "Zdanie 3.",
    },
    "ravdess": {
        "utterance": "03-01-06-02-01-02-12",
        "speaker": "12",
        "sex": "F",
        "emotion": "fear",
        "intensity": "strong",
        "style": "scripted",
        "transcript": "Kids are talking by the door.",
    },
    "savee": {"utterance": "DC_sa01", "speaker": "DC", "sex": "M", "emotion": "sadness"},
    "shemo": {"utterance": "F02A01", "sex": "F", "emotion": "anger", "transcript": "سلام F02A01"},
    "subesco": {
        "utterance": "F_03_NAME_S_7_FEAR_2",
        "speaker": "F03",
        "sex": "F",
        "emotion": "fear",
    },
    "tess": {
        "utterance": "OAF_word7_ps",
        "speaker": "OA",
        "age": 64,
        "emotion": "surprise",
        "transcript": "Say the word word7.",
    },
    "urdu": {
        "utterance": "SM1_F38_A038",
        "speaker": "SM1",
        "sex": "M",
        "emotion": "anger",
        "style": None,
    },
}
"""Columns of one utterance of each tree."""

LARGE = {
    name: pytest.param(name, marks=pytest.mark.slow)
    for name in ("crema_d", "esd", "emov_db", "mead", "nemo", "subesco")
}


def read(reader: str, root: Path) -> CorpusManifest:
    return read_corpus(ReleaseCorpus(reader=reader, root=str(root), label=LABELS.get(reader)))


def release_of(reader: str) -> Release:
    release: Release = importlib.import_module(READERS[reader]).RELEASE
    return release


@pytest.mark.parametrize("reader", [LARGE.get(name, name) for name in TREES])
def test_a_complete_copy_has_the_counts_of_the_release(tmp_path: Path, reader: str) -> None:
    TREES[reader](tmp_path)
    manifest = read(reader, tmp_path)
    assert manifest.rejected == []
    counts = Counter(each.emotion for each in manifest.utterances)
    assert counts == (release_of(reader).counts or {"low": 671, "normal": 646, "high": 618})
    assert len({each.speaker for each in manifest.utterances}) == release_of(reader).speakers


@pytest.mark.parametrize("reader", TREES)
def test_columns_of_a_part_of_a_copy(tmp_path: Path, reader: str) -> None:
    TREES[reader](tmp_path, every=25)
    manifest = read(reader, tmp_path)
    assert {row.reason for row in manifest.rejected} <= {"other counts"}
    assert all(each.language for each in manifest.utterances)
    utterances = {each.utterance: each for each in manifest.utterances}
    example = utterances[EXAMPLES[reader]["utterance"]]
    assert {name: getattr(example, name) for name in EXAMPLES[reader]} == EXAMPLES[reader]
    assert (tmp_path / example.audio).is_file()


def test_texts_of_esd_in_each_encoding(tmp_path: Path) -> None:
    TREES["esd"](tmp_path, every=25)
    utterances = {each.utterance: each for each in read("esd", tmp_path).utterances}
    for speaker in range(1, 21):
        each = utterances[f"{speaker:04d}_000026"]  # whose line has a space in place of a tab
        text, language = ("打远一看25", "zh") if speaker <= 10 else ("Café number 25", "en")
        assert (each.transcript, each.language) == (text, language)
    assert {each.split for each in utterances.values()} == {"train", "dev", "test"}
