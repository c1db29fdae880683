"""A full disk: a one-line message, no partial file, no crash."""

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

from emoscale.prediction.tables import recording_predictions_schema, write_predictions
from emoscale.reporting.figures import save
from emoscale.runtime.command import report_user_errors
from emoscale.runtime.errors import DiskError
from emoscale.runtime.files import atomic_path, write_json
from emoscale.store.shard import ShardHeader
from emoscale.store.writer import write_shard
from emoscale.tables.parquet import dataframe_of, write_csv, write_table
from emoscale.tables.schemas import schema_field
from emoscale.training.cache import TrainingCache
from emoscale.training.tasks import TrainedModel
from emoscale.training.trainer import TrainingResult
from tests.conftest import PROJECT

LIMITS = {"shard of many": 64_100, "picture": 16_384, "predictions, parquet": 16_384}
"""Limit on the file size in bytes, where it must be less than 65,536."""

NUMBERS = pa.schema([schema_field("number", pa.float64(), "anything")])
TABLE = pl.DataFrame({"number": np.random.default_rng(0).random(50_000)})
CHART = alt.Chart(TABLE.head(3_000)).mark_point().encode(x="number:Q")


@contextlib.contextmanager
def limited_file_size(size_bytes: int) -> Iterator[None]:
    """Simulate a full disk: writing beyond the limit fails."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
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
    rows = [{**row, "p_x": float(p)} for row, p in zip(rows, TABLE["number"], strict=False)]
    write_predictions(dataframe_of(rows, recording_predictions_schema(["x"])), ["x"], path)


def training(path: Path) -> None:
    result = TrainingResult([], 1, 1, "budget", 1.0)
    trained = TrainedModel({"weights": torch.rand(50_000)}, result, "")
    TrainingCache(path.parent).put(path.stem, trained)


WRITERS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "shard": ("00.h5", shard),
    "shard of many": ("00.h5", lambda path: shard(path, 8_000)),  # fails after the frames
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


@pytest.mark.parametrize("writer", WRITERS)
def test_failed_write_has_a_message_and_leaves_no_file(writer: str, tmp_path: Path) -> None:
    name, write = WRITERS[writer]
    path = tmp_path / "folder" / name
    with (
        limited_file_size(LIMITS.get(writer, 65_536)),
        pytest.raises(DiskError, match=r"exceed the limit on file sizes") as caught,
    ):
        write(path)
    assert str(caught.value).startswith(f"{path} was not written: ")
    assert list(path.parent.iterdir()) == []


def test_failed_write_preserves_the_previous_file(tmp_path: Path) -> None:
    path = tmp_path / "00.h5"
    shard(path, 10)
    before = path.read_bytes()
    with limited_file_size(65_536), pytest.raises(DiskError):
        shard(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (
            errno.ENOSPC,
            r"the disk is full \([\d.,]+ MB free in .*\); free some space there, then run",
        ),
        (errno.EDQUOT, "your disk quota is used up"),
        (errno.EROFS, "the disk is read-only"),
        (errno.EIO, "the disk reports an input/output error"),
        (errno.EACCES, "writing there is not permitted"),
    ],
)
def test_message_of_each_disk_error(number: int, message: str, tmp_path: Path) -> None:
    with pytest.raises(DiskError, match=message), atomic_path(tmp_path / "a.json"):
        raise OSError(number, "message of the system")
    assert list(tmp_path.iterdir()) == []


def test_errors_of_other_files_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), atomic_path(tmp_path / "a.json"):
        raise PermissionError(errno.EACCES, "denied", "/elsewhere/recording.wav")


def test_program_reports_a_full_disk(capsys: pytest.CaptureFixture[str]) -> None:
    import click

    @click.command()
    @report_user_errors
    def program() -> None:
        with open("/dev/full", "w") as file:
            file.write("text")

    with pytest.raises(SystemExit):
        program.main([])
    message = capsys.readouterr().err
    assert message.startswith("Error: the disk is full (")
    assert message.count("\n") == 1


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
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(mount, capture_output=True).returncode == 0
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("mounting a small file system requires permissions that this user lacks")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_shard_on_a_full_disk(small_disk: Path) -> None:
    """In a separate process, since HDF5 can crash on a full disk."""
    for frames in (20_000, 40_000):  # fails while the shard is assembled, and before
        process = subprocess.run(
            [sys.executable, "-c", WRITE_SHARD, str(small_disk / "00.h5"), str(frames)],
            cwd=PROJECT,
            capture_output=True,
            text=True,
        )
        assert process.returncode == 1, process.stderr
        assert "00.h5 was not written: the disk is full (" in process.stderr
        assert process.stderr.count("\n") == 1
        assert list(small_disk.iterdir()) == []
