"""Atomic files: complete or absent, whatever happens to their writer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from emoscale.runtime.files import atomic_path, temporary_folder, write_json, write_text


def test_file_appears_only_when_complete(tmp_path: Path) -> None:
    target = tmp_path / "new" / "table.parquet"
    with atomic_path(target) as temporary:
        temporary.write_text("half")
        assert not target.exists()
        assert temporary.parent == target.parent
    assert target.read_text() == "half"
    assert list(target.parent.iterdir()) == [target]


def test_error_preserves_the_previous_file(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    write_text(target, "old")

    def write_and_fail() -> None:
        with atomic_path(target) as temporary:
            temporary.write_text("new")
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        write_and_fail()
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_default_permissions(tmp_path: Path) -> None:
    ordinary = tmp_path / "ordinary"
    ordinary.write_text("")
    write_json(tmp_path / "a.json", {"b": 1, "a": "ü"})
    assert (tmp_path / "a.json").stat().st_mode == ordinary.stat().st_mode
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": "ü", "b": 1}


def test_files_of_killed_writers_are_removed_and_those_of_running_writers_remain(
    tmp_path: Path,
) -> None:
    target = tmp_path / "table.parquet"
    killed_writer = (
        "import os, sys\nfrom emoscale.runtime.files import atomic_path\n"
        "with atomic_path(sys.argv[1]) as path:\n    path.write_bytes(b'half')\n    os._exit(9)"
    )
    for _ in range(2):
        assert subprocess.run([sys.executable, "-c", killed_writer, str(target)]).returncode == 9
        assert len(list(tmp_path.iterdir())) == 1
    unrelated = tmp_path / ".other.abcdefgh.parquet"
    unrelated.touch()
    with atomic_path(target) as first:
        first.write_bytes(b"first")
        assert sorted(tmp_path.iterdir()) == sorted([first, unrelated])
        with atomic_path(target) as second:
            second.write_bytes(b"second")
            assert first.exists()
        assert target.read_bytes() == b"second"
    assert target.read_bytes() == b"first"
    assert sorted(tmp_path.iterdir()) == sorted([unrelated, target])


def test_folders_of_killed_writers_are_removed(tmp_path: Path) -> None:
    target = tmp_path / "corpus"
    killed_writer = (
        "import os, sys\nfrom emoscale.runtime.files import temporary_folder\n"
        "with temporary_folder(sys.argv[1]) as path:\n"
        "    (path / 'half').mkdir()\n    os._exit(9)"
    )
    for _ in range(2):
        assert subprocess.run([sys.executable, "-c", killed_writer, str(target)]).returncode == 9
        assert len(list(tmp_path.iterdir())) == 1
    with temporary_folder(target) as first, temporary_folder(target) as second:
        assert sorted(tmp_path.iterdir()) == sorted([first, second])
    assert not list(tmp_path.iterdir())
