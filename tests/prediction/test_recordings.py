from __future__ import annotations

from pathlib import Path

import pytest

from emoscale.config.corpus import AudioChecks
from emoscale.prediction.recordings import find_recordings, read_list, split_recording
from emoscale.prediction.transcripts import Transcripts
from emoscale.runtime.errors import CorpusError
from tests.conftest import WriteWav


def test_folders_are_searched_without_duplicates(tmp_path: Path, write_wav: WriteWav) -> None:
    for name in ("b/2.WAV", "b/a/3.flac", "b/1.wav", "c.wav"):
        write_wav(name)
    (tmp_path / "b" / "._1.wav").write_text("macOS metadata")
    (tmp_path / "b" / "notes.txt").write_text("no audio")
    (tmp_path / "b" / "folder.wav").mkdir()
    recordings = find_recordings([tmp_path / "c.wav", tmp_path / "b", tmp_path / "b" / "1.wav"])
    names = [str(path.relative_to(tmp_path)) for path in recordings]
    assert names == ["c.wav", "b/1.wav", "b/2.WAV", "b/a/3.flac"]
    (tmp_path / "empty").mkdir()
    with pytest.raises(CorpusError, match=r"empty: holds no recording \(\.aif, .*\); name another"):
        find_recordings([tmp_path / "empty"])


def test_a_list_has_one_path_per_line(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("\ufeffa b.wav\n\n/c.wav \n")
    assert read_list(path) == [Path("a b.wav"), Path("/c.wav")]
    path.write_text("\n")
    with pytest.raises(
        CorpusError, match=r"list\.txt: names no recording; write one path per line"
    ):
        read_list(path)
    with pytest.raises(CorpusError, match=r"other\.txt: cannot be read as a list"):
        read_list(tmp_path / "other.txt")


@pytest.mark.parametrize(
    ("seconds", "maximum", "count"),
    [(2.0, 2.0, 1), (2.1, 2.0, 2), (9.9, 2.0, 5), (3.0, 99.0, 1)],
)
def test_segments_are_equal_and_cover_the_recording(
    write_wav: WriteWav, seconds: float, maximum: float, count: int
) -> None:
    path = write_wav(seconds=seconds, rate=8_000)
    segments, skipped = split_recording(path, AudioChecks(), maximum)
    assert not skipped
    assert [segment.number for segment in segments] == list(range(1, count + 1))
    assert sum(segment.seconds for segment in segments) == pytest.approx(seconds)
    assert max(segment.seconds for segment in segments) <= maximum + 1 / 8_000
    assert (
        max(each.seconds for each in segments) - min(each.seconds for each in segments)
        <= 1.01 / 8_000
    )
    if count == 1:
        assert (segments[0].start, segments[0].end) == (None, None)
    else:
        assert segments[0].start == 0.0
        assert segments[-1].end == seconds
        assert [each.end for each in segments[:-1]] == [each.start for each in segments[1:]]


def test_a_name_that_is_not_utf8_is_reported(tmp_path: Path) -> None:
    _, (skipped,) = split_recording(tmp_path / "\udce4.wav", AudioChecks(), 30.0)
    assert skipped.message.endswith("\\xe4.wav: the name is not UTF-8; rename the file")


def test_paths_in_a_table_are_relative_to_the_current_folder_or_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    monkeypatch.chdir(tmp_path)
    table = Path("sub/transcripts.tsv")
    rows = ["speaker\tfile\ttranscript", "a\ta.wav\tone, two", "b\tsub/a.wav\tthree", "c\tc.wav\t"]
    table.write_text("\n".join(rows))
    transcripts = Transcripts(table)
    assert transcripts.find(Path("a.wav")) == "one, two"
    assert transcripts.find(Path("sub/a.wav")) == "three"
    assert transcripts.find(tmp_path / "sub" / "c.wav") == ""
    with pytest.raises(CorpusError, match=r"d\.wav: has no transcript"):
        transcripts.find(Path("d.wav"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("file,text\na.wav,yes\n", r"needs one column transcript \(its columns: file, text\)"),
        ("file,transcript\na.wav,oh, yes\n", r"line 2: has 3 fields and the header 2; put quotes"),
        ('file,transcript\na.wav,"yes\n', r"line 2: .*; look for a quote that is not closed"),
        ("file,transcript\na.wav,yes\na.wav,no\n", r"line 3: a\.wav has another transcript above"),
        ("", r"needs one column file \(its columns: none\)"),
    ],
)
def test_errors_in_a_table_of_transcripts(tmp_path: Path, content: str, message: str) -> None:
    table = tmp_path / "transcripts.csv"
    table.write_text(content)
    with pytest.raises(CorpusError, match=message):
        Transcripts(table)
