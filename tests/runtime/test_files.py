from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from emoscale.runtime.files import atomic_path, temporary_folder, write_json, write_text


def test_the_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "new" / "table.parquet"
    with atomic_path(target) as temporary:
        temporary.write_text("half")
        assert not target.exists()
        assert temporary.parent == target.parent
    assert target.read_text() == "half"
    assert list(target.parent.iterdir()) == [target]


def test_an_error_leaves_the_old_file_and_no_other(tmp_path: Path) -> None:
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


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("")
    write_json(tmp_path / "a.json", {"b": 1, "a": "ü"})
    assert (tmp_path / "a.json").stat().st_mode == plain.stat().st_mode
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": "ü", "b": 1}


def test_what_a_killed_writer_left_is_removed_and_a_living_one_is_not_disturbed(
    tmp_path: Path,
) -> None:
    target = tmp_path / "table.parquet"
    killed = (
        "import os, sys\nfrom emoscale.runtime.files import atomic_path\n"
        "with atomic_path(sys.argv[1]) as path:\n    path.write_bytes(b'half')\n    os._exit(9)"
    )
    for _ in range(2):
        assert subprocess.run([sys.executable, "-c", killed, str(target)]).returncode == 9
        assert len(list(tmp_path.iterdir())) == 1
    other = tmp_path / ".other.abcdefgh.parquet"
    other.touch()
    with atomic_path(target) as first:
        first.write_bytes(b"first")
        assert sorted(tmp_path.iterdir()) == sorted([first, other])
        with atomic_path(target) as second:
            second.write_bytes(b"second")
            assert first.exists()
        assert target.read_bytes() == b"second"
    assert target.read_bytes() == b"first"
    assert sorted(tmp_path.iterdir()) == sorted([other, target])


def test_folders_of_killed_writers_are_removed_too(tmp_path: Path) -> None:
    target = tmp_path / "corpus"
    killed = (
        "import os, sys\nfrom emoscale.runtime.files import temporary_folder\n"
        "with temporary_folder(sys.argv[1]) as path:\n"
        "    (path / 'half').mkdir()\n    os._exit(9)"
    )
    for _ in range(2):
        assert subprocess.run([sys.executable, "-c", killed, str(target)]).returncode == 9
        assert len(list(tmp_path.iterdir())) == 1
    with temporary_folder(target) as first, temporary_folder(target) as second:
        assert sorted(tmp_path.iterdir()) == sorted([first, second])
    assert not list(tmp_path.iterdir())
