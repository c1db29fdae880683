from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from emoscale.config.corpus import ReleaseCorpus
from emoscale.corpus.readers import CorpusManifest, read_corpus
from emoscale.corpus.releases.emodb import RELEASE
from emoscale.runtime.errors import CorpusError


def read_folder(root: Path) -> CorpusManifest:
    return read_corpus(ReleaseCorpus(reader="emodb", root=str(root)))


@pytest.mark.parametrize("folder", ["wav", "."])
@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_metadata_is_read_from_the_file_names(tmp_path: Path, folder: str, suffix: str) -> None:
    (tmp_path / folder).mkdir(exist_ok=True)
    for name in ("03a01Fa", "16b10Wb", "08a05Na"):
        (tmp_path / folder / f"{name}.{suffix}").touch()
    (tmp_path / "erklaerung.txt").touch()
    first, second, third = read_folder(tmp_path).utterances
    assert (first.utterance, first.speaker, first.sex, first.emotion) == (
        "03a01Fa",
        "03",
        "M",
        "happiness",
    )
    assert first.transcript == "Der Lappen liegt auf dem Eisschrank."
    assert (first.language, first.age) == ("de", 31)
    assert (second.speaker, second.sex, second.emotion) == ("08", "F", "neutral")
    assert (third.speaker, third.emotion) == ("16", "anger")
    assert (tmp_path / third.audio).exists()


def test_other_names_are_rejected(tmp_path: Path) -> None:
    for name in ("03a01Fa.wav", "hello.wav", "99a01Fa.wav", "03a01Xa.wav", "._03a01Fa.wav"):
        (tmp_path / name).touch()
    manifest = read_folder(tmp_path)
    assert [u.utterance for u in manifest.utterances] == ["03a01Fa"]
    assert {(row.file, row.reason) for row in manifest.rejected} == {
        ("hello.wav", "name not understood"),
        ("99a01Fa.wav", "name not understood"),
        ("03a01Xa.wav", "unknown label"),
        (".", "other counts"),
    }


def test_a_root_without_emodb_recordings_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"nowhere does not exist: expected files such as wav/03"):
        read_folder(tmp_path / "nowhere")
    (tmp_path / "hello.wav").touch()
    with pytest.raises(CorpusError, match=r"has no utterance of EMO-DB: .*hello.wav is not named"):
        read_folder(tmp_path)


def test_counts_of_the_real_corpus(emodb_root: Path) -> None:
    manifest = read_folder(emodb_root)
    assert Counter(each.emotion for each in manifest.utterances) == RELEASE.counts
    assert len(manifest.utterances) == 535
    assert manifest.rejected == []
