"""Digests of files' content are read once for a path, size and time."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from emoscale.runtime import file_digests
from emoscale.runtime.file_digests import FileDigests
from emoscale.runtime.provenance import file_sha256


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "corpus" / name for name in ("a.wav", "b.wav")]
    paths[0].parent.mkdir()
    for path in paths:
        path.write_text(path.name)
    return paths


def test_content_counts_and_times_do_not(tmp_path: Path, files: list[Path]) -> None:
    digests = FileDigests(tmp_path / "cache.json")
    first = digests.of_tree(tmp_path / "corpus")
    os.utime(files[0], ns=(10, 10))
    assert digests.of_tree(tmp_path / "corpus") == first
    shutil.copytree(tmp_path / "corpus", tmp_path / "copy")
    assert digests.of_tree(tmp_path / "copy") == first
    files[1].write_text("other")
    assert digests.of_tree(tmp_path / "corpus") != first
    (tmp_path / "copy" / "c.wav").write_text("one more")
    assert digests.of_tree(tmp_path / "copy") != first
    assert digests.of_tree(files[0]) != digests.of_tree(tmp_path / "nothing")


def test_a_file_is_read_once(
    tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def counted(path: Path) -> str:
        read.append(path)
        return file_sha256(path)

    monkeypatch.setattr(file_digests, "file_sha256", counted)
    found = FileDigests(tmp_path / "cache.json").of(files)
    assert sorted(read) == files
    assert [each and each.sha256 for each in found] == [file_sha256(path) for path in files]
    assert FileDigests(tmp_path / "cache.json").of(files) == found
    assert sorted(read) == files
    os.utime(files[0], ns=(10, 10))
    assert FileDigests(tmp_path / "cache.json").of(files) == found
    assert sorted(read) == sorted([*files, files[0]])


@pytest.mark.parametrize("kept", ["", "[]", '{"a": 1}', '{"a": [1, 2]}'])
def test_a_damaged_cache_is_empty(tmp_path: Path, files: list[Path], kept: str) -> None:
    (tmp_path / "cache.json").write_text(kept)
    assert FileDigests(tmp_path / "cache.json").of(files)[0] is not None


def test_what_cannot_be_read_has_no_digest(tmp_path: Path) -> None:
    digests = FileDigests(tmp_path / "cache.json")
    assert digests.of([tmp_path / "missing", Path("zero\0byte")]) == [None, None]
