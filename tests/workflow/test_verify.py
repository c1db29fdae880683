"""`scripts/verify.py` checks that the files of a finished study are complete and unchanged."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import polars as pl
import pyarrow.parquet as pq
import pytest

from tests.conftest import PROJECT
from tests.workflow.same_results import comparable_files, differences
from tests.workflow.test_study import STUDY, Checkout

pytestmark = pytest.mark.slow
SMALL: dict[str, Any] = copy.deepcopy(STUDY)
SMALL["sizes"] = ["all"]
SMALL["checkpoints"] = {"tiny": {"pretrain": "wav2vec2", "steps": 0}}
SMALL["robustness"] = {
    "experiments": ["mfcc"],
    "conditions": {"loud": {"noise": "white", "snr_db": -5}},
}


def checkout(folder: Path) -> Checkout:
    folder.mkdir(exist_ok=True)
    shutil.copy(PROJECT / "Snakefile", folder)
    for name in ("workflow", "scripts", "envs", "profiles"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return Checkout(folder)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    copy_of_project = checkout(tmp_path_factory.mktemp("checkout"))
    ran = copy_of_project.run("--cores", "2", config=SMALL)
    assert ran.returncode == 0, ran.stdout
    return copy_of_project


@pytest.fixture
def results(finished: Checkout, tmp_path: Path) -> Path:
    """Return a copy of the results that may be damaged."""
    return Path(shutil.copytree(finished.folder / "results" / "small", tmp_path / "small"))


def verify(results: Path, *options: str) -> tuple[int, str]:
    program = [sys.executable, str(PROJECT / "scripts" / "verify.py"), str(results), *options]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "workflow")}
    ran = subprocess.run(program, capture_output=True, text=True, env=environment)
    assert "Traceback" not in ran.stdout + ran.stderr
    return ran.returncode, ran.stdout


def flip(path: Path, index: int = -30) -> None:
    content = bytearray(path.read_bytes())
    content[index] ^= 0xFF
    path.write_bytes(bytes(content))


def test_a_finished_study_has_no_errors(finished: Checkout) -> None:
    status, output = verify(finished.folder / "results" / "small")
    assert (status, output.splitlines()[-1]) == (0, "errors: 0")
    runs = pl.read_parquet(finished.folder / "results" / "small" / "tables" / "runs.parquet")
    assert set(runs.filter(experiment="mfcc")["checkpoint_sha256"]) == {""}
    named = runs.filter(experiment="wav2vec2").select("checkpoint_sha256", "corpus_sha256")
    assert all(len(value) == 64 for row in named.iter_rows() for value in row)


def change_frames(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["frames"][0, 0] = 7.0


def remove_row(path: Path) -> None:
    table = pl.read_parquet(path)
    metadata = {k: v for k, v in pq.read_schema(path).metadata.items() if k != b"ARROW:schema"}
    pq.write_table(table.head(-1).to_arrow().replace_schema_metadata(metadata), path)


DAMAGES: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "shard": ("features/mfcc/00.h5", change_frames, "content of frames does not match its digest"),
    "cut shard": (
        "features/mfcc/01.h5",
        lambda p: os.truncate(p, 3000),
        "is not HDF5, or is damaged",
    ),
    "no shard": ("features/mfcc/01.h5", Path.unlink, "refers to 01.h5, which is missing"),
    "index": ("features/mfcc/index.parquet", lambda p: flip(p, 6), "cannot be read as Parquet"),
    "perturbed": (
        "perturbed/loud/mfcc/00.h5",
        change_frames,
        "content of frames does not match its digest",
    ),
    "weights": ("runs/mfcc/fold1/all/model.safetensors", flip, "does not match the digest"),
    "predictions": ("runs/mfcc/fold1/all/predictions.parquet", flip, "does not match the digest"),
    "no history": ("runs/mfcc/fold1/all/history.parquet", Path.unlink, "which is missing"),
    "no JSON": ("runs/mfcc/fold1/all/run.json", lambda p: p.write_text("{"), "is not JSON"),
    "no run": ("runs/mfcc/fold1/all/run.json", Path.unlink, "does not exist"),
    "fold": ("protocol/fold2.parquet", Path.unlink, "trained on a different version"),
    "utterances": ("corpus/utterances.parquet", lambda p: flip(p, 60), "utterances.parquet"),
    "score": ("tables/scores.parquet", remove_row, "content does not match its digest"),
    "table": ("tables/runs.parquet", lambda p: flip(p, 6), "cannot be read as Parquet"),
    "input": ("tables/predictions.parquet", Path.unlink, "which is missing; run the study again"),
    "pre-trained weights": (
        "checkpoints/tiny/model/model.safetensors",
        flip,
        "is not the recorded checkpoint; remove the record and run again",
    ),
    "checkpoint": ("checkpoints/tiny.json", lambda p: p.write_text("[]"), "is damaged"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_reported(results: Path, name: str) -> None:
    from emoscale.reporting.verification import verify_study

    file, damage, message = DAMAGES[name]
    damage(results / file)
    errors = verify_study(results).errors
    assert any(message in error for error in errors), errors


def test_quick_verification_reads_no_shards(results: Path) -> None:
    change_frames(results / "features" / "mfcc" / "00.h5")
    assert verify(results, "--quick")[0] == 0
    status, output = verify(results)
    assert status == 1
    assert output.splitlines()[-1] == "errors: 1"


def test_removed_files_are_written_again(finished: Checkout) -> None:
    """The error about a damaged shard says which files to remove before the next run."""
    results = finished.folder / "results" / "small"
    shard, index = (results / "features" / "mfcc" / name for name in ("00.h5", "index.parquet"))
    original, before = shard.read_bytes(), os.stat(shard)
    change_frames(shard)
    os.utime(shard, ns=(before.st_atime_ns, before.st_mtime_ns))  # like a fault of the disk
    shutil.rmtree(results / "runs" / "mfcc" / "fold1")
    target = "results/small/runs/mfcc/fold1/all/run.json"
    ran = finished.run("--cores", "2", target, config=SMALL)
    assert ran.returncode != 0
    log = (results / "logs" / "train" / "mfcc" / "fold1" / "all.log").read_text()
    assert (
        "00.h5: the content of frames does not match its digest; remove the file and results/small/"
        in log
    )
    shard.unlink()
    index.unlink()
    for targets in ([target], []):
        ran = finished.run("--cores", "2", *targets, config=SMALL)
        assert ran.returncode == 0, ran.stdout
    assert shard.read_bytes() == original
    status, output = verify(results)
    assert status == 0, output


def test_one_core_and_two_have_the_same_results(finished: Checkout, tmp_path: Path) -> None:
    other = checkout(tmp_path / "other")
    ran = other.run("--cores", "1", config=SMALL)
    assert ran.returncode == 0, ran.stdout
    one, two = (run.folder / "results" / "small" for run in (other, finished))
    assert len(comparable_files(one)) > 50
    assert differences(one, two) == []
