from __future__ import annotations

from pathlib import Path

import pytest

from emoscale.config.corpus import EmodbCorpus
from emoscale.corpus.emodb import read
from emoscale.corpus.readers import CorpusManifest
from emoscale.runtime.errors import CorpusError


def read_folder(root: Path) -> CorpusManifest:
    return read(EmodbCorpus(reader="emodb", root=str(root)))


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
    }


def test_a_root_without_emodb_recordings_is_an_error(tmp_path: Path) -> None:
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(CorpusError, match=r"expected files such as wav/03a01Fa.wav"):
            read_folder(root)
    (tmp_path / "hello.wav").touch()
    with pytest.raises(CorpusError, match=r"none of its 1 recordings is named as in EMO-DB"):
        read_folder(tmp_path)


def test_class_counts_of_the_real_corpus(emodb_root: Path) -> None:
    manifest = read_folder(emodb_root)
    counts = {
        emotion: sum(u.emotion == emotion for u in manifest.utterances)
        for emotion in ("anger", "happiness", "neutral", "sadness")
    }
    assert counts == {"anger": 127, "happiness": 71, "neutral": 79, "sadness": 62}
    assert len(manifest.utterances) == 535
    assert manifest.rejected == []
