"""MSP-Podcast: speakers that are unknown, votes in each format, and sets without labels."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from emoscale.config.corpus import ReleaseCorpus
from emoscale.corpus.readers import CorpusManifest, read_corpus
from emoscale.runtime.errors import CorpusError
from tests.corpus.releases.trees_with_tables import PODCAST_COLUMNS, write_files, write_table

FIRST, SECOND, THIRD = (
    f"MSP-PODCAST_{name}.wav" for name in ("0001_0008", "0001_0009", "0002_01_2")
)
ROWS = [
    (FIRST, "X", 2.2, 4.0, "nan", "Unknown", "Unknown", "Train"),
    (SECOND, "O", "", 4.0, 2.6, "Unknown", "Female", "Validation"),
    (THIRD, "C", 2.2, 4.0, 2.6, "Unknown", "Male", "Test1"),
    ("MSP-PODCAST_0003_0001.wav", "", "", "", "", "30", "Male", "Test3"),
    ("MSP-PODCAST_0003_0002.wav", "", 2.2, 4.0, 2.6, "30", "Male", "Train"),
]


def read(root: Path) -> CorpusManifest:
    return read_corpus(ReleaseCorpus(reader="msp_podcast", root=str(root)))


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """An old release: other names of the folders and of the table."""
    write_table(tmp_path / "label" / "labels_concensus.csv", PODCAST_COLUMNS, ROWS)
    write_files(tmp_path / "Audio", [FIRST, f"._{FIRST}", "MSP-PODCAST_0009_0001.wav"])
    return tmp_path


def test_unknown_speakers_and_hidden_labels(copy: Path) -> None:
    manifest = read(copy)
    first, second, third, hidden = manifest.utterances
    assert (first.emotion, first.split, first.sex, first.dominance) == (
        *("no agreement", "train", None, None),
    )
    assert (second.emotion, second.split, second.activation) == ("other", "dev", None)
    assert first.speaker == second.speaker != third.speaker
    assert (third.emotion, third.dialog) == ("contempt", "0002")
    assert (hidden.emotion, hidden.split, hidden.speaker) == ("hidden", "test3", "30")
    assert [(row.file, row.reason) for row in manifest.rejected] == [
        ("Labels/labels_detailed.csv", "missing"),
        ("Transcripts/*.txt", "missing"),
        ("label/labels_concensus.csv", "row not understood"),
        ("Audio/MSP-PODCAST_0009_0001.wav", "no label"),
    ]


def write_json(folder: Path) -> None:
    ratings = {"W1": "Angry", "W2": "Other-a bit bored"}
    content = {
        name: {rater: {"EmoClass_Major": label} for rater, label in ratings.items()}
        for name in (FIRST,)
    }
    (folder / "labels_detailed.json").write_text(json.dumps(content))


def write_old_table(folder: Path) -> None:
    rows = [(FIRST, "W1", "Angry", "Sad"), (FIRST, "W2", "Other-", ""), (FIRST, "W1", "Angry", "")]
    header = ("FileName", "Workers", "EmoClass_Major", "EmoClass_Second")
    write_table(folder / "labels_detailed.csv", header, rows)


def write_new_table(folder: Path) -> None:
    rows = [(FIRST, "W1; Angry; Angry,Frustrated; A:5; V:2; D:6;"), (FIRST, "W2; Other-x;; A:1;")]
    write_table(folder / "labels_detailed.csv", ("FileName", "EmoDetail"), rows)


@pytest.mark.parametrize("write", [write_json, write_old_table, write_new_table])
def test_votes_in_each_format(copy: Path, write: Callable[[Path], None]) -> None:
    write(copy / "label")
    votes = [each.votes for each in read(copy).utterances]
    assert votes == [
        [{"rater": "W1", "label": "anger"}, {"rater": "W2", "label": "other"}],
        *(None, None, None),
    ]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("labels_detailed.json", "[1]", r"labels_detailed.json is not a table of ratings"),
        ("labels_detailed.csv", "a,b\n1,2\n", r"labels_detailed.csv: .*Workers.*copy it again"),
        ("labels_concensus.csv", "FileName\nx\n", r"labels_concensus.csv has no column EmoClass"),
        (
            "labels_concensus.csv",
            "version https://git-lfs.github.com/spec/v1\n",
            r"labels_concensus.csv is a Git LFS pointer.*git lfs pull",
        ),
    ],
)
def test_damaged_tables_are_errors(copy: Path, name: str, content: str, message: str) -> None:
    (copy / "label" / name).write_text(content)
    with pytest.raises(CorpusError, match=message):
        read(copy)
