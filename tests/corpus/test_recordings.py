from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from emoscale.config.corpus import AudioChecks
from emoscale.corpus.readers import CorpusManifest, Utterance, text_key
from emoscale.runtime.errors import CorpusError
from emoscale.tables.parquet import dataframe_of, read_table, write_table
from emoscale.tables.schemas import RECORDINGS, REJECTED
from tests.conftest import WriteWav
from tests.corpus.checked import check_recordings


def utterance(name: str, **more: object) -> Utterance:
    return Utterance(utterance=name, audio=f"{name}.wav", speaker="a", emotion="sad", **more)  # type: ignore[arg-type]


def test_each_utterance_is_in_exactly_one_table(tmp_path: Path, write_wav: WriteWav) -> None:
    write_wav("good.wav", rate=8_000, channels=2)
    write_wav("silent.wav", level=0.0)
    (tmp_path / "empty.wav").touch()
    manifest = CorpusManifest("csv")
    words: list[dict[str, str | float]] = [{"word": "No", "start": 0.1, "end": 0.2}]
    manifest.add(utterance("good", transcript="No, [LAUGHTER] NO!", words=words), "table")
    for name in ("silent", "empty", "missing"):
        manifest.add(utterance(name), "table")
    manifest.reject("table", "no label", "why", utterance="other")
    usable, rejected = check_recordings(manifest, tmp_path, AudioChecks(), threads=2)
    recordings = usable.select(RECORDINGS.names)
    write_table(recordings, tmp_path / "a.parquet", RECORDINGS)
    write_table(rejected, tmp_path / "b.parquet", REJECTED)
    assert read_table(tmp_path / "a.parquet", RECORDINGS).equals(recordings)
    (row,) = usable.to_dicts()
    assert (row["utterance"], row["sample_rate"], row["channels"]) == ("good", 8_000, 2)
    assert row["seconds"] == pytest.approx(0.5)
    assert (row["text_key"], row["words"]) == ("no no", words)
    assert {(r["utterance"], r["reason"]) for r in rejected.to_dicts()} == {
        ("silent", "silent"),
        ("empty", "empty"),
        ("missing", "missing"),
        ("other", "no label"),
    }


def test_a_corpus_without_any_usable_recording_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "utterances.csv").touch()
    manifest = CorpusManifest("csv")
    manifest.add(utterance("missing"), "table")
    with pytest.raises(CorpusError, match=r"none of 1 recordings can be used.*no such file"):
        check_recordings(manifest, tmp_path, AudioChecks())


def test_an_unavailable_corpus_is_an_error(tmp_path: Path) -> None:
    """Otherwise its recordings would stay rejected when it is available again."""
    (tmp_path / "mount").mkdir()
    manifest = CorpusManifest("csv")
    manifest.add(utterance("good"), "table")
    for root in (tmp_path / "mount", tmp_path / "nowhere"):
        with pytest.raises(CorpusError, match="the corpus is no longer available; mount or copy"):
            check_recordings(manifest, root, AudioChecks())


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE])
def test_a_failing_disk_is_an_error_and_not_a_rejection(
    number: int, tmp_path: Path, write_wav: WriteWav, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path) -> int:
        raise OSError(number, os.strerror(number), str(path))

    write_wav("good.wav")
    monkeypatch.setattr("emoscale.audio.decoding.missing_bytes", fail)
    manifest = CorpusManifest("csv")
    manifest.add(utterance("good"), "table")
    with pytest.raises(CorpusError, match=rf"good.wav: {os.strerror(number)}; check the disk or"):
        check_recordings(manifest, tmp_path, AudioChecks())


def test_a_name_that_is_not_unicode_is_rejected(tmp_path: Path) -> None:
    manifest = CorpusManifest("emodb")
    name = os.fsdecode(b"k\xe4se")
    manifest.add(utterance(name), f"{name}.wav")
    assert manifest.utterances == []
    assert manifest.rejected[0].file == "k\\xe4se.wav"
    write_table(dataframe_of([vars(manifest.rejected[0])], REJECTED), tmp_path / "a", REJECTED)


@pytest.mark.parametrize(
    ("transcript", "key"),
    [
        (None, None),
        ("", ""),
        ("[LAUGHTER]", ""),
        ("Don't -- go!", "don't go"),
        ("DON’T go.", "don't go"),
        ("Über_all  ", "über all"),
    ],
)
def test_text_key(transcript: str | None, key: str | None) -> None:
    assert text_key(transcript) == key


@pytest.mark.parametrize(
    ("word", "other"), [("दिन", "दान"), ("ตี", "ตู")], ids=["Hindi day, gift", "Thai hit, cupboard"]
)
def test_vowel_signs_belong_to_the_words_of_a_text_key(word: str, other: str) -> None:
    assert text_key(f"{word}, {word}!") == f"{word} {word}"
    assert text_key(word) != text_key(other)


def test_a_text_key_has_no_marks_without_a_letter() -> None:
    assert text_key("ja \N{HEAVY BLACK HEART}\N{VARIATION SELECTOR-16}") == "ja"
