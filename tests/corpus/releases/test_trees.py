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
    "ased": {"utterance": "h3-02-01-02-61", "speaker": "61", "sex": "M", "emotion": "happiness"},
    "baved": {
        "utterance": "50-f-25-0-0-50",
        "sex": "F",
        "age": 25,
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
    "crema_d": {
        "utterance": "1010_IEO_ANG_MD",
        "speaker": "1010",
        "sex": "M",
        "age": 30,
        "intensity": "medium",
        "transcript": "It's eleven o'clock.",
    },
    "emodb": {"utterance": "03a01Wa", "sex": "M", "age": 31, "emotion": "anger"},
    "emov_db": {
        "utterance": "bea_disgusted_1-28_0201",
        "speaker": "bea",
        "sex": "F",
        "emotion": "disgust",
        "transcript": "Sentence 201, and more.",
    },
    "emovo": {
        "utterance": "gio-f1-d1",
        "sex": "F",
        "emotion": "happiness",
        "transcript": "Sabato sera cosa farà?",
    },
    "esd": {
        "utterance": "0016_000026",
        "sex": "F",
        "language": "en",
        "split": "test",
        "transcript": "Café number 25",
    },
    "jl_corpus": {
        "utterance": "female1_angry_1a_1",
        "sex": "F",
        "transcript": "Jack views an art piece",
    },
    "mead": {
        "utterance": "W009_disgusted_3_005",
        "speaker": "W009",
        "sex": "F",
        "intensity": "3",
        "emotion": "disgust",
    },
    "nemo": {
        "utterance": "EB0_surprised_33",
        "sex": "F",
        "age": 24,
        "emotion": "surprise",
        "transcript": "Zdanie 33.",
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
    "shemo": {"utterance": "F02A03", "sex": "F", "emotion": "anger", "transcript": "سلام F02A03"},
    "subesco": {
        "utterance": "F_02_NAME_S_5_FEAR_1",
        "speaker": "F02",
        "sex": "F",
        "emotion": "fear",
    },
    "tess": {
        "utterance": "OAF_word0_ps",
        "speaker": "OA",
        "age": 64,
        "emotion": "surprise",
        "transcript": "Say the word word0.",
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

LARGE = (
    *("ased", "baved", "crema_d", "emov_db", "esd", "jl_corpus"),
    *("mead", "nemo", "shemo", "subesco", "tess"),
)
COPIES = [
    *(pytest.param(name, 1, marks=[pytest.mark.slow] * (name in LARGE)) for name in TREES),
    *(pytest.param(name, 25) for name in LARGE),
]
"""Reader, and step between the recordings that are written: 1 for a complete copy."""


def read(reader: str, root: Path) -> CorpusManifest:
    return read_corpus(ReleaseCorpus(reader=reader, root=str(root), label=LABELS.get(reader)))


def release_of(reader: str) -> Release:
    release: Release = importlib.import_module(READERS[reader]).RELEASE
    return release


@pytest.mark.parametrize(("reader", "every"), COPIES)
def test_a_copy_has_the_counts_of_the_release(tmp_path: Path, reader: str, every: int) -> None:
    TREES[reader](tmp_path, every)
    manifest = read(reader, tmp_path)
    release = release_of(reader)
    if every == 1:
        counts = Counter(each.emotion for each in manifest.utterances)
        assert manifest.rejected == []
        if reader == "baved":
            assert counts.total() == 1935  # published without counts of the levels
        else:
            assert counts == release.counts
        assert len({each.speaker for each in manifest.utterances}) == release.speakers
    assert {row.reason for row in manifest.rejected} <= {"other counts"}
    utterances = {each.utterance: each for each in manifest.utterances}
    example = utterances[EXAMPLES[reader]["utterance"]]
    assert {name: getattr(example, name) for name in EXAMPLES[reader]} == EXAMPLES[reader]
    assert (tmp_path / example.audio).is_file()


def test_texts_of_esd_in_each_encoding(tmp_path: Path) -> None:
    TREES["esd"](tmp_path, every=25)
    utterances = {each.utterance: each for each in read("esd", tmp_path).utterances}
    for speaker in range(1, 21):
        each = utterances[f"{speaker:04d}_000026"]  # its line has a space instead of a tab
        text, language = ("打远一看25", "zh") if speaker <= 10 else ("Café number 25", "en")
        assert (each.transcript, each.language) == (text, language)
    assert {each.split for each in utterances.values()} == {"train", "dev", "test"}
