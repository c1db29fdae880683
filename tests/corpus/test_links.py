"""Links in a corpus: linked folders are read, links to external files are rejected."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import soundfile

from emoscale.config import parse_settings
from emoscale.config.corpus import AudioChecks, CorpusSettings
from emoscale.corpus.readers import CorpusManifest, read_corpus
from emoscale.corpus.recordings import check_shard
from emoscale.runtime.errors import CorpusError
from tests.audit.speech import speech

HEADER = "file,speaker,emotion\n"


def read(root: Path, reader: str = "csv") -> CorpusManifest:
    return read_corpus(parse_settings(CorpusSettings, {"reader": reader, "root": str(root)}, "it"))


def check(root: Path) -> tuple[list[str], dict[str, str]]:
    """The usable recordings, and the rejected ones with their reason."""
    usable, rejected = check_shard(read(root).utterances, root, AudioChecks())
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


def test_a_link_to_an_external_recording_is_rejected(root: Path) -> None:
    (root / "three.wav").symlink_to(root.parent.parent / "secret.wav")
    with open(root / "utterances.csv", "a") as file:
        file.write("three.wav,c,sad\n")
    assert check(root) == (["one.wav", "session/two.wav"], {"three.wav": "outside the corpus"})


def test_a_link_within_the_corpus_is_followed(root: Path) -> None:
    (root / "one.wav").rename(root / "session" / "real.wav")
    (root / "one.wav").symlink_to("session/real.wav")
    assert check(root) == (["one.wav", "session/two.wav"], {})


def test_linked_folders_and_a_linked_root_are_read(root: Path, tmp_path: Path) -> None:
    shutil.move(root / "session", tmp_path / "other disk")
    (tmp_path / "other disk" / "two.wav").rename(tmp_path / "other disk" / "real.wav")
    (tmp_path / "other disk" / "two.wav").symlink_to("real.wav")
    (root / "session").symlink_to(tmp_path / "other disk")
    (tmp_path / "linked").symlink_to(root)
    assert check(tmp_path / "linked") == (["one.wav", "session/two.wav"], {})


def test_a_link_to_an_external_table_is_an_error(root: Path) -> None:
    (root / "utterances.csv").rename(root.parent / "elsewhere.csv")
    (root / "utterances.csv").symlink_to(root.parent / "elsewhere.csv")
    with pytest.raises(CorpusError, match=r"is a link to .*elsewhere.csv, .* set corpus.table"):
        read(root)


def test_an_external_file_is_not_quoted(tmp_path: Path) -> None:
    labels = tmp_path / "corpus" / "Session1" / "dialog" / "EmoEvaluation"
    labels.mkdir(parents=True)
    (labels.parent / "transcriptions").mkdir()
    (tmp_path / "private.txt").write_text("my password\n")
    (labels.parent / "transcriptions" / "Ses01F_impro01.txt").symlink_to(tmp_path / "private.txt")
    (labels / "Ses01F_impro01.txt").write_text(
        "[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.5000, 2.5000]\n"
    )
    manifest = read(tmp_path / "corpus", "iemocap")
    reasons = [row.reason for row in manifest.rejected]
    assert reasons == ["outside the corpus"]
    assert "password" not in str(manifest.rejected)


def test_a_speaker_with_two_unicode_spellings_is_an_error(root: Path) -> None:
    (root / "utterances.csv").write_text(
        f"{HEADER}one.wav,Ren\u00e9,sad\nsession/two.wav,Rene\u0301,sad\n", encoding="utf-8"
    )
    with pytest.raises(CorpusError, match="the speaker Ren\u00e9 has two spellings"):
        read(root)


def test_file_names_that_look_the_same_are_different_files(root: Path) -> None:
    names = ["\u00e9.wav", "e\u0301.wav", "E\u0301.wav"]
    for number, name in enumerate(names):
        soundfile.write(root / name, speech(number), 16_000)
    if len(list(root.glob("*.wav"))) < 4:
        pytest.skip("this file system normalises names")
    rows = "".join(f"{name},a,sad\n" for name in names)
    (root / "utterances.csv").write_text(HEADER + rows, encoding="utf-8")
    usable, _ = check_shard(read(root).utterances, root, AudioChecks())
    assert set(usable["utterance"]) == {name.removesuffix(".wav") for name in names}
    assert len(set(usable["audio_sha256"])) == 3
