"""Links in a corpus: folders that the user linked are read, files that lead elsewhere are not."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import soundfile

from emoscale.config import parse_settings
from emoscale.config.corpus import AudioChecks, CorpusSettings
from emoscale.corpus.reading import Reading, read_corpus
from emoscale.corpus.recordings import check_shard
from emoscale.runtime.errors import CorpusError
from tests.audit.speech import speech

HEADER = "file,speaker,emotion\n"


def reading_of(root: Path, reader: str = "csv") -> Reading:
    return read_corpus(parse_settings(CorpusSettings, {"reader": reader, "root": str(root)}, "it"))


def checked(root: Path) -> tuple[list[str], dict[str, str]]:
    """The recordings that are used, and the others with the reason."""
    usable, rejected = check_shard(reading_of(root).utterances, root, AudioChecks())
    reasons = zip(rejected["file"], rejected["reason"], strict=True)
    return sorted(usable["audio"]), dict(reasons)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "disk" / "corpus"
    (folder / "session").mkdir(parents=True)
    for file in (folder / "one.wav", folder / "session" / "two.wav", tmp_path / "secret.wav"):
        soundfile.write(file, speech(1), 16_000)
    (folder / "utterances.csv").write_text(f"{HEADER}one.wav,a,sad\nsession/two.wav,b,sad\n")
    return folder


def test_a_recording_that_leads_out_of_the_corpus_is_rejected(root: Path) -> None:
    (root / "three.wav").symlink_to(root.parent.parent / "secret.wav")
    with open(root / "utterances.csv", "a") as file:
        file.write("three.wav,c,sad\n")
    assert checked(root) == (["one.wav", "session/two.wav"], {"three.wav": "outside the corpus"})


def test_a_link_within_the_corpus_is_followed(root: Path) -> None:
    (root / "one.wav").rename(root / "session" / "real.wav")
    (root / "one.wav").symlink_to("session/real.wav")
    assert checked(root) == (["one.wav", "session/two.wav"], {})


def test_linked_folders_and_a_linked_root_are_read(root: Path, tmp_path: Path) -> None:
    shutil.move(root / "session", tmp_path / "other disk")
    (tmp_path / "other disk" / "two.wav").rename(tmp_path / "other disk" / "real.wav")
    (tmp_path / "other disk" / "two.wav").symlink_to("real.wav")
    (root / "session").symlink_to(tmp_path / "other disk")
    (tmp_path / "linked").symlink_to(root)
    assert checked(tmp_path / "linked") == (["one.wav", "session/two.wav"], {})


def test_a_table_that_leads_out_of_the_corpus_is_refused(root: Path) -> None:
    (root / "utterances.csv").rename(root.parent / "elsewhere.csv")
    (root / "utterances.csv").symlink_to(root.parent / "elsewhere.csv")
    with pytest.raises(CorpusError, match=r"is a link to .*elsewhere.csv, .* set corpus.table"):
        reading_of(root)


def test_nothing_is_quoted_of_a_file_outside(tmp_path: Path) -> None:
    labels = tmp_path / "corpus" / "Session1" / "dialog" / "EmoEvaluation"
    labels.mkdir(parents=True)
    (labels.parent / "transcriptions").mkdir()
    (tmp_path / "private.txt").write_text("my password\n")
    (labels.parent / "transcriptions" / "Ses01F_impro01.txt").symlink_to(tmp_path / "private.txt")
    (labels / "Ses01F_impro01.txt").write_text(
        "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]\n"
    )
    reading = reading_of(tmp_path / "corpus", "iemocap")
    reasons = [row.reason for row in reading.rejected]
    assert reasons == ["outside the corpus"]
    assert "password" not in str(reading.rejected)


def test_a_speaker_in_two_ways_of_writing_is_refused(root: Path) -> None:
    (root / "utterances.csv").write_text(
        f"{HEADER}one.wav,Ren\u00e9,sad\nsession/two.wav,Rene\u0301,sad\n", encoding="utf-8"
    )
    with pytest.raises(CorpusError, match="the speaker Ren\u00e9 is written in two ways"):
        reading_of(root)


def test_names_that_only_look_the_same_stay_apart(root: Path) -> None:
    names = ["\u00e9.wav", "e\u0301.wav", "E\u0301.wav"]
    for number, name in enumerate(names):
        soundfile.write(root / name, speech(number), 16_000)
    if len(list(root.glob("*.wav"))) < 4:
        pytest.skip("this disk takes them for the same")
    rows = "".join(f"{name},a,sad\n" for name in names)
    (root / "utterances.csv").write_text(HEADER + rows, encoding="utf-8")
    usable, _ = check_shard(reading_of(root).utterances, root, AudioChecks())
    assert set(usable["utterance"]) == {name.removesuffix(".wav") for name in names}
    assert len(set(usable["audio_sha256"])) == 3
