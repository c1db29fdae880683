"""A disk that takes no more: a sentence, nothing under the file's name, no crash."""

from __future__ import annotations

import contextlib
import errno
import resource
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import altair as alt
import numpy as np
import polars as pl
import pyarrow as pa
import pytest
import torch

from emoscale.prediction.tables import predictions_of_files, write_predictions
from emoscale.reporting.figures import save
from emoscale.runtime.command import report_user_errors
from emoscale.runtime.errors import DiskError
from emoscale.runtime.files import atomic_path, write_json
from emoscale.store.shard import ShardHeader
from emoscale.store.writer import write_shard
from emoscale.tables.parquet import dataframe_of, write_csv, write_table
from emoscale.tables.schemas import schema_field
from emoscale.training.cache import TrainingCache
from emoscale.training.tasks import Trained
from emoscale.training.trainer import Training
from tests.conftest import PROJECT

LIMITS = {"shard of many": 64_100, "picture": 16_384, "predictions, parquet": 16_384}
"""Bytes that a file may have, where 65,536 are too many."""

NUMBERS = pa.schema([schema_field("number", pa.float64(), "anything")])
TABLE = pl.DataFrame({"number": np.random.default_rng(0).random(50_000)})
CHART = alt.Chart(TABLE.head(3_000)).mark_point().encode(x="number:Q")


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """What a full disk is to a process: a write that is refused half-way."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def shard(path: Path, frames: int = 30_000) -> None:
    header = ShardHeader("{}", 4, 100.0, "code", "rows")
    write_shard(path, header, ["a", "b"], [np.ones((frames, 4)), np.zeros((9, 4))], "float16")


def predictions(path: Path) -> None:
    row = {"file": "a" * 80, "segments": 1, "start": 0.0, "end": 1.0, "seconds": 1.0}
    row |= {"predicted": "x", "p_x": 1.0, "model": "m", "repeats": "0", "pretrained_weights": ""}
    rows = [{**row, "segment": number, "file": f"{number}"} for number in range(4_000)]
    rows = [{**each, "p_x": float(p)} for each, p in zip(rows, TABLE["number"], strict=False)]
    write_predictions(dataframe_of(rows, predictions_of_files(["x"])), ["x"], path)


def training(path: Path) -> None:
    trained = Trained({"weights": torch.rand(50_000)}, Training([], 1, 1, "budget", 1.0), "")
    TrainingCache(path.parent).put(path.stem, trained)


WRITERS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "shard": ("00.h5", shard),
    "shard of many": ("00.h5", lambda path: shard(path, 8_000)),  # refused after the frames
    "table": ("a.parquet", lambda path: write_table(TABLE, path, NUMBERS)),
    "csv": ("a.csv", lambda path: write_csv(TABLE, path)),
    "json": ("a.json", lambda path: write_json(path, TABLE["number"].to_list())),
    "training": ("identity.safetensors", training),
    "page": ("a.html", lambda path: save(CHART, path)),
    "drawing": ("a.svg", lambda path: save(CHART, path)),
    "picture": ("a.png", lambda path: save(CHART.properties(width=3000, height=2000), path)),
    "predictions, csv": ("p.csv", predictions),
    "predictions, json": ("p.json", predictions),
    "predictions, parquet": ("p.parquet", predictions),
}


@pytest.mark.parametrize("what", WRITERS)
def test_what_is_refused_is_a_sentence_and_leaves_nothing(what: str, tmp_path: Path) -> None:
    name, write = WRITERS[what]
    path = tmp_path / "folder" / name
    with (
        files_of_at_most(LIMITS.get(what, 65_536)),
        pytest.raises(DiskError, match=r"larger than a file") as caught,
    ):
        write(path)
    assert str(caught.value).startswith(f"{path} was not written: ")
    assert list(path.parent.iterdir()) == []


def test_what_was_there_before_stays(tmp_path: Path) -> None:
    path = tmp_path / "00.h5"
    shard(path, 10)
    before = path.read_bytes()
    with files_of_at_most(65_536), pytest.raises(DiskError):
        shard(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (errno.ENOSPC, r"the disk is full \([\d.,]+ MB free in .*\); make room there, then run"),
        (errno.EDQUOT, "your quota of the disk is used up"),
        (errno.EROFS, "the disk is read-only"),
        (errno.EIO, "the disk reports an error"),
        (errno.EACCES, "you may not write there"),
    ],
)
def test_each_reason_has_its_way_out(number: int, says: str, tmp_path: Path) -> None:
    with pytest.raises(DiskError, match=says), atomic_path(tmp_path / "a.json"):
        raise OSError(number, "as the system says it")
    assert list(tmp_path.iterdir()) == []


def test_what_another_file_is_the_reason_of_is_not_said_of_this_one(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), atomic_path(tmp_path / "a.json"):
        raise PermissionError(errno.EACCES, "denied", "/elsewhere/recording.wav")


def test_a_program_says_it_too(capsys: pytest.CaptureFixture[str]) -> None:
    import click

    @click.command()
    @report_user_errors
    def program() -> None:
        with open("/dev/full", "w") as file:
            file.write("much")

    with pytest.raises(SystemExit):
        program.main([])
    said = capsys.readouterr().err
    assert said.startswith("Error: the disk is full (")
    assert said.count("\n") == 1


WRITE_SHARD = """
import sys
from pathlib import Path
from tests.runtime.test_full_disk import shard
from emoscale.runtime.errors import UserError
try:
    shard(Path(sys.argv[1]), int(sys.argv[2]))
except UserError as error:
    sys.exit(str(error))
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 256 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(mount, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a small file system needs more rights than this user has")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_shard_on_a_disk_that_is_full(small_disk: Path) -> None:
    """In a process of its own: HDF5 used to crash it."""
    for frames in (20_000, 40_000):  # while the shard is put together, and before
        ran = subprocess.run(
            [sys.executable, "-c", WRITE_SHARD, str(small_disk / "00.h5"), str(frames)],
            cwd=PROJECT,
            capture_output=True,
            text=True,
        )
        assert ran.returncode == 1, ran.stderr
        assert "00.h5 was not written: the disk is full (" in ran.stderr
        assert ran.stderr.count("\n") == 1
        assert list(small_disk.iterdir()) == []
