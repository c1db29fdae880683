"""A finished study is what it was when it was written, or a sentence says what is not."""

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
from tests.workflow.same_results import compared, differences
from tests.workflow.test_study import STUDY, Checkout

pytestmark = pytest.mark.slow
SMALL: dict[str, Any] = copy.deepcopy(STUDY)
SMALL["sizes"] = ["all"]
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
    made = checkout(tmp_path_factory.mktemp("checkout"))
    ran = made.run("--cores", "2", config=SMALL)
    assert ran.returncode == 0, ran.stdout
    return made


@pytest.fixture
def results(finished: Checkout, tmp_path: Path) -> Path:
    """A copy that may be harmed."""
    return Path(shutil.copytree(finished.folder / "results" / "small", tmp_path / "small"))


def verify(results: Path, *options: str) -> tuple[int, str]:
    program = [sys.executable, str(PROJECT / "scripts" / "verify.py"), str(results), *options]
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "workflow")}
    ran = subprocess.run(program, capture_output=True, text=True, env=environment)
    assert "Traceback" not in ran.stdout + ran.stderr
    return ran.returncode, ran.stdout


def flip(path: Path, place: int = -30) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 0xFF
    path.write_bytes(bytes(content))


def test_a_finished_study_is_what_was_written(finished: Checkout) -> None:
    status, said = verify(finished.folder / "results" / "small")
    assert (status, said.splitlines()[-1]) == (0, "everything is as it was written")
    runs = pl.read_parquet(finished.folder / "results" / "small" / "tables" / "runs.parquet")
    assert set(runs.filter(experiment="mfcc")["checkpoint_sha256"]) == {""}
    named = runs.filter(experiment="wav2vec2").select("checkpoint_sha256", "corpus_sha256")
    assert all(len(value) == 64 for row in named.iter_rows() for value in row)


def swap_frames(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["frames"][0, 0] = 7.0


def remove_row(path: Path) -> None:
    table = pl.read_parquet(path)
    metadata = {k: v for k, v in pq.read_schema(path).metadata.items() if k != b"ARROW:schema"}
    pq.write_table(table.head(-1).to_arrow().replace_schema_metadata(metadata), path)


HARMS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "shard": ("features/mfcc/00.h5", swap_frames, "frames is not what was written"),
    "cut shard": ("features/mfcc/01.h5", lambda p: os.truncate(p, 3000), "is no HDF5 file"),
    "no shard": ("features/mfcc/01.h5", Path.unlink, "names 01.h5, which is missing"),
    "index": ("features/mfcc/index.parquet", lambda p: flip(p, 6), "cannot be read as Parquet"),
    "perturbed": ("perturbed/loud/mfcc/00.h5", swap_frames, "frames is not what was written"),
    "weights": ("runs/mfcc/fold1/all/model.safetensors", flip, "not what its run.json says"),
    "predictions": ("runs/mfcc/fold1/all/predictions.parquet", flip, "not what its run.json says"),
    "no history": ("runs/mfcc/fold1/all/history.parquet", Path.unlink, "which is not there"),
    "no JSON": ("runs/mfcc/fold1/all/run.json", lambda p: p.write_text("{"), "is not JSON"),
    "no run": ("runs/mfcc/fold1/all/run.json", Path.unlink, "does not exist"),
    "fold": ("protocol/fold2.parquet", Path.unlink, "trained on another"),
    "utterances": ("corpus/utterances.parquet", lambda p: flip(p, 60), "utterances.parquet"),
    "score": ("tables/scores.parquet", remove_row, "is not what was written"),
    "leaf": ("tables/published.parquet", lambda p: flip(p, 6), "cannot be read as Parquet"),
    "source": ("tables/predictions.parquet", Path.unlink, "which is missing; run the study again"),
    "stamp": ("checkpoints/tiny.json", lambda p: p.write_text("[]"), "is damaged"),
}


@pytest.mark.parametrize("name", HARMS)
def test_whatever_is_wrong_is_named(results: Path, name: str) -> None:
    from emoscale.reporting.verification import verify_study

    file, harm, sentence = HARMS[name]
    harm(results / file)
    wrong = verify_study(results).wrong
    assert any(sentence in each for each in wrong), wrong


def test_quick_reads_no_shards(results: Path) -> None:
    swap_frames(results / "features" / "mfcc" / "00.h5")
    assert verify(results, "--quick")[0] == 0
    status, said = verify(results)
    assert status == 1
    assert said.splitlines()[-1] == "1 wrong"


def test_a_removed_file_is_made_again_by_the_next_run(finished: Checkout) -> None:
    """What the sentence about a damaged shard asks for: the shard and its index are removed."""
    results = finished.folder / "results" / "small"
    shard, index = (results / "features" / "mfcc" / name for name in ("00.h5", "index.parquet"))
    whole, before = shard.read_bytes(), os.stat(shard)
    swap_frames(shard)
    os.utime(shard, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a disk does it
    shutil.rmtree(results / "runs" / "mfcc" / "fold1")
    wanted = "results/small/runs/mfcc/fold1/all/run.json"
    ran = finished.run("--cores", "2", wanted, config=SMALL)
    assert ran.returncode != 0
    log = (results / "logs" / "train" / "mfcc" / "fold1" / "all.log").read_text()
    assert "00.h5: frames is not what was written; remove the file and results/small/" in log
    shard.unlink()
    index.unlink()
    for target in ([wanted], []):
        ran = finished.run("--cores", "2", *target, config=SMALL)
        assert ran.returncode == 0, ran.stdout
    assert shard.read_bytes() == whole
    status, said = verify(results)
    assert status == 0, said


def test_one_core_and_two_give_the_same(finished: Checkout, tmp_path: Path) -> None:
    other = checkout(tmp_path / "other")
    ran = other.run("--cores", "1", config=SMALL)
    assert ran.returncode == 0, ran.stdout
    one, two = (made.folder / "results" / "small" for made in (other, finished))
    assert len(compared(one)) > 50
    assert differences(one, two) == []
