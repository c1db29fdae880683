"""MELD: keys that restart, files that are no recordings, and recordings with other speech."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from emoscale.config.corpus import AudioChecks, ReleaseCorpus
from emoscale.corpus.readers import read_corpus
from tests.conftest import WriteWav
from tests.corpus.checked import check_recordings
from tests.corpus.releases.trees_with_tables import MELD_COLUMNS, write_files, write_table


def row(
    utterance: int, speaker: str = "Ross", emotion: str = "joy", end: str = "0:01:01,100"
) -> Sequence[object]:
    start = "00:01:00,600"
    return (1, "It\x92s \x96 fine.", speaker, emotion, "neutral", 0, utterance, 1, 1, start, end)


@pytest.fixture
def copy(tmp_path: Path, write_wav: WriteWav) -> Path:
    """A copy without the development set, whose recordings were converted to WAV."""
    train = [row(0), row(1, "Dr. Leedbetter"), row(2, emotion="calm"), row(3, end="?"), row(4)]
    write_table(tmp_path / "train_sent_emo.csv", MELD_COLUMNS, train)
    write_table(tmp_path / "test" / "test_sent_emo.csv", MELD_COLUMNS, [row(0)])
    write_wav("train/train_splits/dia0_utt0.wav", seconds=6.0)
    write_wav("train/train_splits/dia0_utt1.wav", seconds=7.0)
    write_wav("output_repeated_splits_test/dia0_utt0.wav")
    write_files(
        tmp_path / "output_repeated_splits_test",
        ["._dia0_utt0.mp4", "final_videos_testdia0_utt0.mp4"],
    )
    return tmp_path


def test_entries_of_a_copy(copy: Path) -> None:
    manifest = read_corpus(ReleaseCorpus(reader="meld", root=str(copy)))
    assert {each.utterance: each.audio for each in manifest.utterances} == {
        "train_dia0_utt0": "train/train_splits/dia0_utt0.wav",
        "train_dia0_utt1": "train/train_splits/dia0_utt1.wav",
        "train_dia0_utt4": "train/train_splits/dia0_utt4.mp4",
        "test_dia0_utt0": "output_repeated_splits_test/dia0_utt0.wav",
    }
    assert {each.emotion for each in manifest.utterances} == {"happiness"}
    assert {each.transcript for each in manifest.utterances} == {"It’s – fine."}
    assert manifest.utterances[1].speaker == "Dr. Ledbetter"
    assert [(row.file, row.utterance, row.reason) for row in manifest.rejected] == [
        ("train_sent_emo.csv", "train_dia0_utt2", "row not understood"),
        ("train_sent_emo.csv", "train_dia0_utt3", "row not understood"),
        ("dev_sent_emo.csv", None, "missing"),
        (
            "output_repeated_splits_test/final_videos_testdia0_utt0.mp4",
            *("final_videos_testdia0_utt0", "no label"),
        ),
        (".", None, "other counts"),
    ]


def test_recordings_that_are_far_longer_than_their_subtitle(copy: Path) -> None:
    manifest = read_corpus(ReleaseCorpus(reader="meld", root=str(copy)))
    recordings, rejected = check_recordings(manifest, copy, AudioChecks())
    assert set(recordings["utterance"]) == {"train_dia0_utt0", "test_dia0_utt0"}
    reason_of = dict(rejected.select("utterance", "reason").iter_rows())
    assert reason_of["train_dia0_utt1"] == "longer than its label"
    assert reason_of["train_dia0_utt4"] == "missing"
