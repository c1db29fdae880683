"""Cached digests of files: each file is read once per path, size and modification time."""

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


def test_digest_depends_on_content_not_on_times(tmp_path: Path, files: list[Path]) -> None:
    digests = FileDigests(tmp_path / "cache.json")
    first = digests.path_digest(tmp_path / "corpus")
    os.utime(files[0], ns=(10, 10))
    assert digests.path_digest(tmp_path / "corpus") == first
    shutil.copytree(tmp_path / "corpus", tmp_path / "copy")
    assert digests.path_digest(tmp_path / "copy") == first
    files[1].write_text("changed")
    assert digests.path_digest(tmp_path / "corpus") != first
    (tmp_path / "copy" / "c.wav").write_text("additional")
    assert digests.path_digest(tmp_path / "copy") != first
    assert digests.path_digest(files[0]) != digests.path_digest(tmp_path / "nothing")


def test_file_is_read_once(
    tmp_path: Path, files: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    read_paths: list[Path] = []

    def counting_sha256(path: Path) -> str:
        read_paths.append(path)
        return file_sha256(path)

    monkeypatch.setattr(file_digests, "file_sha256", counting_sha256)
    computed = FileDigests(tmp_path / "cache.json").compute(files)
    assert sorted(read_paths) == files
    assert [file and file.sha256 for file in computed] == [file_sha256(path) for path in files]
    assert FileDigests(tmp_path / "cache.json").compute(files) == computed
    assert sorted(read_paths) == files
    os.utime(files[0], ns=(10, 10))
    assert FileDigests(tmp_path / "cache.json").compute(files) == computed
    assert sorted(read_paths) == sorted([*files, files[0]])


@pytest.mark.parametrize("content", ["", "[]", '{"a": 1}', '{"a": [1, 2]}'])
def test_damaged_cache_counts_as_empty(tmp_path: Path, files: list[Path], content: str) -> None:
    (tmp_path / "cache.json").write_text(content)
    assert FileDigests(tmp_path / "cache.json").compute(files)[0] is not None


def test_unreadable_files_have_no_digest(tmp_path: Path) -> None:
    digests = FileDigests(tmp_path / "cache.json")
    assert digests.compute([tmp_path / "missing", Path("zero\0byte")]) == [None, None]
