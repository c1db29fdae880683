"""Unlabelled speech: which recordings are read, and which are held out."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import soundfile

from emoscale.audio.decoding import FORMATS, read_waveform
from emoscale.audit.fingerprint import fingerprint
from emoscale.config.corpus import AudioChecks, CsvCorpus, SeveralCorpora
from emoscale.config.pretraining import DemoSpeech, FolderSpeech
from emoscale.pretraining.speech import (
    SPEECH,
    check_speech,
    hold_out,
    read_speech,
    speech_digest,
    speech_files,
    speech_summary,
)
from emoscale.runtime.errors import CorpusError, UserError
from emoscale.runtime.file_digests import FileDigests
from emoscale.tables.parquet import read_table, write_table
from tests.audit.speech import Wave, speech, write_corpus

SPEAKER_FOLDER = "^([^/]+)/"


def write(path: Path, wave: Wave, **options: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, wave, 16_000, **options)


def folder(root: Path, pattern: str | None = None) -> FolderSpeech:
    return FolderSpeech(reader="folder", root=str(root), speaker_pattern=pattern)


def keys(root: Path, pattern: str | None = None) -> list[str]:
    return [each.utterance for each in read_speech(folder(root, pattern)).utterances]


def check(
    root: Path, pattern: str | None = None, held_out: float = 0.05, seed: int = 1
) -> tuple[pl.DataFrame, pl.DataFrame]:
    return check_speech(folder(root, pattern), AudioChecks(), held_out, seed, threads=2)


CONTAINERS = {
    "wav.wav": ("WAV", "PCM_16"),
    "extensible.WAV": ("WAVEX", "PCM_16"),
    "large.Wav": ("RF64", "PCM_16"),
    "free.FLAC": ("FLAC", "PCM_16"),
    "vorbis.ogg": ("OGG", "VORBIS"),
    "opus.opus": ("OGG", "OPUS"),
    "audio.oga": ("OGG", "VORBIS"),
    "layer.Mp3": ("MP3", "MPEG_LAYER_III"),
    "apple.AIFF": ("AIFF", "PCM_16"),
    "apple.aif": ("AIFF", "PCM_16"),
    "sphere.SPH": ("NIST", "PCM_16"),
    "sphere.nist": ("NIST", "PCM_16"),
}


def test_every_supported_container_is_read(tmp_path: Path) -> None:
    for number, (name, (container, subtype)) in enumerate(CONTAINERS.items()):
        write(tmp_path / name, speech(number, 0.6), format=container, subtype=subtype)
    (tmp_path / "LICENSE.txt").write_text("free")
    (tmp_path / "transcripts.csv").write_text("a,b")
    recordings, rejected = check(tmp_path)
    assert {container for container, _ in CONTAINERS.values()} == FORMATS
    assert recordings["utterance"].to_list() == sorted(CONTAINERS)
    assert recordings["audio"].to_list() == sorted(CONTAINERS)
    assert rejected.is_empty()


def test_hidden_files_are_ignored(tmp_path: Path) -> None:
    for name in ("b/one.wav", "._one.wav", ".hidden.wav", ".trash/two.wav", "a.wav"):
        write(tmp_path / name, speech(1, 0.5))
    assert keys(tmp_path) == ["a.wav", "b/one.wav"]


def test_umlauts_and_spaces_in_names(tmp_path: Path) -> None:
    names = ["Jürgen Groß/früh am Morgen.wav", 'Zoë/it\'s "here" $HOME.wav']
    for number, name in enumerate(names):
        write(tmp_path / name, speech(number, 0.5))
    recordings, rejected = check(tmp_path, SPEAKER_FOLDER)
    assert recordings["utterance"].to_list() == names
    assert recordings["speaker"].to_list() == ["Jürgen Groß", "Zoë"]
    assert rejected.is_empty()
    assert all(file.path.is_file() for file in speech_files(recordings, tmp_path, True))


def test_two_spellings_of_a_speaker_are_one_speaker(tmp_path: Path) -> None:
    names = ["Ren\u00e9/1.wav", "Rene\u0301/2.wav", "Zoe/1.wav"]
    for name in names:
        write(tmp_path / name, speech(1, 0.5))
    if len([*tmp_path.iterdir()]) < 3:
        pytest.skip("this file system normalises names")
    speakers = [each.speaker for each in read_speech(folder(tmp_path, SPEAKER_FOLDER)).utterances]
    assert len({*speakers}) == 2


def test_unusable_files_are_rejected_with_the_reason(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / f"{number}.wav", speech(number, 0.5))
    content = (tmp_path / "0.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(content[: len(content) // 2])
    (tmp_path / "text.flac").write_text("this is no audio")
    (tmp_path / "nothing.wav").write_bytes(b"")
    write(tmp_path / "silent.wav", np.zeros(8_000, np.float32))
    (tmp_path.parent / f"{tmp_path.name}.wav").write_bytes(content)
    (tmp_path / "link.wav").symlink_to(tmp_path.parent / f"{tmp_path.name}.wav")
    recordings, rejected = check(tmp_path)
    assert recordings["utterance"].to_list() == ["0.wav", "1.wav", "2.wav"]
    assert dict(rejected.select("file", "reason").iter_rows()) == {
        "cut.wav": "truncated",
        "text.flac": "unreadable",
        "nothing.wav": "empty",
        "silent.wav": "silent",
        "link.wav": "outside the corpus",
    }
    assert all(rejected["detail"].str.len_chars() > 20)


def test_linked_folders_are_read_once(tmp_path: Path) -> None:
    write(tmp_path / "root" / "a" / "1.wav", speech(1, 0.5))
    write(tmp_path / "disk" / "2.wav", speech(2, 0.5))
    (tmp_path / "root" / "b").symlink_to(tmp_path / "disk")
    (tmp_path / "root" / "circle").symlink_to(tmp_path)
    (tmp_path / "root" / "a" / "up").symlink_to(tmp_path / "root")
    recordings, rejected = check(tmp_path / "root")
    assert recordings["utterance"].to_list() == ["a/1.wav", "b/2.wav"]
    assert {*rejected.select("file", "reason").iter_rows()} == {
        ("a/up", "read already"),
        ("circle/disk", "read already"),
        ("circle/root", "read already"),
    }


def test_long_recordings(tmp_path: Path) -> None:
    noise = np.random.default_rng(1).normal(size=16_000 * 200) * 0.1
    write(tmp_path / "long.flac", noise.astype(np.float32))
    write(tmp_path / "short.wav", speech(1, 0.5))
    recordings, _ = check(tmp_path)
    assert recordings["seconds"].to_list() == [200.0, 0.5]
    assert recordings["start"].to_list() == [None, None]
    assert speech_summary(recordings)["hours"] == pytest.approx(200.5 / 3600)


def test_a_speaker_pattern_that_matches_only_some_recordings(tmp_path: Path) -> None:
    for number, name in enumerate(("anna_1.wav", "anna_2.wav", "bert_1.wav", "9.wav", "10.wav")):
        write(tmp_path / name, speech(number, 0.5))
    recordings, _ = check(tmp_path, "^([a-z]+)_|^1(x)?0", held_out=0.5)
    assert dict(recordings.select("utterance", "speaker").iter_rows()) == {
        "10.wav": None,  # matches, without the group
        "9.wav": None,
        "anna_1.wav": "anna",
        "anna_2.wav": "anna",
        "bert_1.wav": "bert",
    }
    assert speech_summary(recordings)["speakers"] == 2
    assert speech_summary(check(tmp_path)[0])["speakers"] is None


def test_the_table_has_what_the_recordings_have(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / f"{number}.wav", speech(number, 0.5))
    recordings, _ = check(tmp_path)
    write_table(recordings, tmp_path / "speech.parquet", SPEECH)
    (first, *_) = read_table(tmp_path / "speech.parquet", SPEECH).to_dicts()
    assert first["corpus"] == "folder"
    assert (first["sample_rate"], first["channels"], first["speaker"]) == (16_000, 1, None)
    expected = fingerprint(read_waveform(tmp_path / "0.wav"))
    np.testing.assert_array_equal(np.float32(first["fingerprint"]), expected)


def table(speakers: Iterable[str | None], digests: Iterable[str] | None = None) -> pl.DataFrame:
    names = [*speakers]
    contents = [*digests] if digests is not None else [str(number) for number in range(len(names))]
    return pl.DataFrame(
        {
            "utterance": [f"{number:03d}" for number in range(len(names))],
            "speaker": pl.Series(names, dtype=pl.String),
            "audio_sha256": contents,
        }
    )


def held_out_keys(recordings: pl.DataFrame, share: float = 0.05, seed: int = 1) -> set[str]:
    return {*hold_out(recordings, share, seed).filter("held_out")["utterance"]}


@pytest.mark.parametrize(("share", "speakers"), [(0.05, 1), (0.25, 5), (0.5, 10), (0.999, 19)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_whole_speakers_are_held_out(share: float, speakers: int, seed: int) -> None:
    recordings = hold_out(table(f"s{number % 20}" for number in range(100)), share, seed)
    sides = recordings.group_by("speaker").agg(pl.col("held_out").n_unique())
    assert sides["held_out"].to_list() == [1] * 20
    assert recordings.filter("held_out")["speaker"].n_unique() == speakers


@pytest.mark.parametrize(("share", "count"), [(0.01, 1), (0.3, 3), (0.999, 9)])
def test_recordings_of_unknown_speakers_are_held_out_one_by_one(share: float, count: int) -> None:
    assert len(held_out_keys(table([None] * 10), share)) == count


def test_known_and_unknown_speakers() -> None:
    recordings = hold_out(table(["a"] * 5 + ["b"] * 5 + [None] * 6), 0.5, seed=1)
    named = recordings.drop_nulls("speaker").group_by("speaker").agg(pl.col("held_out").unique())
    assert all(len(sides) == 1 for sides in named["held_out"])
    speakers = named.filter(pl.col("held_out").list.first())
    unknown = recordings.filter(pl.col("held_out") & pl.col("speaker").is_null())
    assert len(speakers) + len(unknown) == 4  # half of 2 speakers and 6 recordings


@pytest.mark.parametrize("seed", range(20))
def test_identical_recordings_are_on_the_same_side(seed: int) -> None:
    """The copies connect b and c, and a recording of an unknown speaker with d."""
    speakers = ["a", "b", "b", "c", "c", "d", None, None, "e"]
    contents = ["1", "2", "3", "3", "4", "5", "5", "6", "7"]
    held_out = hold_out(table(speakers, contents), 0.4, seed)["held_out"].to_list()
    assert len({*held_out[1:5]}) == 1
    assert len({*held_out[5:7]}) == 1
    assert len({*held_out}) == 2


def test_the_seed_decides_and_the_order_of_recordings_does_not() -> None:
    recordings = table([*"abcdefghij"] * 3)
    chosen = held_out_keys(recordings, 0.3)
    assert held_out_keys(recordings.sample(fraction=1, shuffle=True, seed=5), 0.3) == chosen
    assert held_out_keys(recordings.reverse(), 0.3) == chosen
    assert len({frozenset(held_out_keys(recordings, 0.3, seed)) for seed in range(10)}) > 5


def test_the_order_of_files_does_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        write(tmp_path / f"s{number % 3}" / f"{number}.wav", speech(number, 0.5))
    recordings, _ = check(tmp_path, SPEAKER_FOLDER)
    digest = speech_digest(folder(tmp_path), FileDigests(tmp_path / "digests"))
    scandir = os.scandir

    class Reversed(list):
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def __next__(self):
            if not self:
                raise StopIteration
            return self.pop(0)

    def reversed_scandir(path):
        with scandir(path) as entries:
            return Reversed(sorted(entries, key=lambda entry: entry.name, reverse=True))

    names = keys(tmp_path)
    monkeypatch.setattr("os.scandir", reversed_scandir)
    assert keys(tmp_path) == names
    again, _ = check(tmp_path, SPEAKER_FOLDER)
    assert again.equals(recordings)
    assert speech_digest(folder(tmp_path), FileDigests(tmp_path / "digests")) == digest


def test_too_little_speech_is_an_error_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"missing does not exist; set the root"):
        read_speech(folder(tmp_path / "missing"))
    (tmp_path / "notes.txt").write_text("no audio")
    with pytest.raises(CorpusError, match=r"holds no recording \(\.aif, .*; set the root"):
        read_speech(folder(tmp_path))
    (tmp_path / "broken.wav").write_text("no audio")
    with pytest.raises(UserError, match="none of 1 recordings can be used; the first reason: "):
        check(tmp_path)
    write(tmp_path / "a" / "1.wav", speech(1, 0.5))
    with pytest.raises(UserError, match="has 1 usable recording of a single content, so none can"):
        check(tmp_path)
    shutil.copy(tmp_path / "a" / "1.wav", tmp_path / "a" / "copy.wav")
    with pytest.raises(UserError, match="has 2 usable recordings of a single content"):
        check(tmp_path)
    write(tmp_path / "a" / "2.wav", speech(2, 0.5))
    with pytest.raises(UserError, match=r"of a single speaker, .* or do not name speakers"):
        check(tmp_path, SPEAKER_FOLDER)
    assert len(check(tmp_path)[0]) == 3


def test_an_unreadable_subfolder_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """os.walk would leave it out silently; root may read anything, so the error is simulated."""
    write(tmp_path / "a" / "1.wav", speech(1, 0.5))
    (tmp_path / "b").mkdir()
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("b"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(CorpusError, match="b cannot be read: Permission denied"):
        read_speech(folder(tmp_path))


def test_a_corpus_without_its_labels(tmp_path: Path) -> None:
    rows = [
        {"file": f"{n}.wav", "wave": speech(n, 1.0), "speaker": f"s{n % 2}", "emotion": "sad"}
        for n in range(4)
    ]
    corpus = write_corpus(tmp_path / "one", rows)
    lines = (tmp_path / "one" / "utterances.csv").read_text()
    recordings, _ = check_speech(corpus, AudioChecks(), 0.05, seed=1)
    assert recordings["corpus"].to_list() == ["csv"] * 4
    assert recordings["speaker"].to_list() == ["s0", "s1"] * 2
    digest = speech_digest(corpus, FileDigests(tmp_path / "digests"))
    (tmp_path / "one" / "utterances.csv").write_text(lines.replace("sad", "joy"))
    assert speech_digest(corpus, FileDigests(tmp_path / "digests")) == digest
    (tmp_path / "one" / "utterances.csv").write_text(lines.replace("s1", "s2"))
    assert speech_digest(corpus, FileDigests(tmp_path / "digests")) != digest


def test_several_corpora(tmp_path: Path) -> None:
    for name in ("one", "two"):
        rows = [{"file": "1.wav", "wave": speech(1, 1.0), "speaker": "s", "emotion": "sad"}]
        write_corpus(tmp_path / name, rows)
    settings = SeveralCorpora(
        reader="several",
        root=str(tmp_path),
        corpora={name: CsvCorpus(reader="csv", root=name) for name in ("one", "two")},
    )
    names = [(each.corpus, each.speaker) for each in read_speech(settings).utterances]
    assert names == [("one", "one:s"), ("two", "two:s")]


def test_segments_of_a_corpus_are_read_from_their_start(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", speech(1, 3.0), 16_000)
    rows = ["file,speaker,emotion,start,end", "long.wav,a,x,0.5,1.5", "long.wav,b,x,1.5,3.0"]
    (tmp_path / "utterances.csv").write_text("\n".join(rows))
    corpus = CsvCorpus(reader="csv", root=str(tmp_path))
    recordings, _ = check_speech(corpus, AudioChecks(), 0.05, seed=1)
    files = speech_files(recordings, tmp_path, True) + speech_files(recordings, tmp_path, False)
    assert sorted((file.start, file.seconds) for file in files) == [(0.5, 1.0), (1.5, 1.5)]
    assert {file.path for file in files} == {tmp_path / "long.wav"}


def test_each_recording_is_trained_on_or_held_out(tmp_path: Path) -> None:
    for number in range(8):
        write(tmp_path / f"{number}.wav", speech(number, 0.5))
    recordings, _ = check(tmp_path, held_out=0.25)
    training, held_out = (speech_files(recordings, tmp_path, side) for side in (False, True))
    assert (len(training), len(held_out)) == (6, 2)
    assert {file.path for file in training + held_out} == {*tmp_path.glob("*.wav")}
    summary = speech_summary(recordings)
    contents = "\n".join(sorted(recordings["audio_sha256"]))
    assert summary == {
        "recordings": 8,
        "hours": pytest.approx(4.0 / 3600),
        "held_out_hours": pytest.approx(1.0 / 3600),
        "speakers": None,
        "digest": hashlib.sha256(contents.encode()).hexdigest(),
    }


def test_the_digest_is_of_the_content(tmp_path: Path) -> None:
    digests = FileDigests(tmp_path / "digests")
    for number in range(3):
        write(tmp_path / "one" / f"s{number}" / "1.wav", speech(number, 0.5))
    shutil.copytree(tmp_path / "one", tmp_path / "moved")
    digest = speech_digest(folder(tmp_path / "one"), digests)
    assert speech_digest(folder(tmp_path / "moved"), digests) == digest
    assert speech_digest(folder(tmp_path / "moved", SPEAKER_FOLDER), digests) != digest
    (tmp_path / "moved" / "notes.txt").write_text("not read")
    assert speech_digest(folder(tmp_path / "moved"), digests) == digest
    write(tmp_path / "moved" / "s1" / "1.wav", speech(7, 0.5))
    assert speech_digest(folder(tmp_path / "moved"), digests) != digest


def test_the_digest_of_generated_speech_is_that_of_its_settings(tmp_path: Path) -> None:
    digests = FileDigests(tmp_path / "digests")
    settings = DemoSpeech(reader="demo_speech", root=str(tmp_path / "not yet"))
    moved = settings.model_copy(update={"root": "elsewhere"})
    other = settings.model_copy(update={"seed": 2})
    assert speech_digest(settings, digests) == speech_digest(moved, digests)
    assert speech_digest(settings, digests) != speech_digest(other, digests)


def test_planning_needs_no_torch() -> None:
    program = "import sys, emoscale.pretraining.speech; print('torch' in sys.modules)"
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "False"
