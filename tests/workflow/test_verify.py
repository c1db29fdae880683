"""A finished study is what it was when it was written, or a sentence says what is not."""

from __future__ import annotations

import copy
import json
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
SMALL["representations"].pop("logmel")
SMALL["experiments"].pop("logmel")
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


def edit_json(path: Path, change: Callable[[Any], object]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def swap_frames(path: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["frames"][0, 0] = 7.0


def rewrite(path: Path) -> None:
    """Another number, written as anybody would."""
    table = pl.read_parquet(path)
    metadata = pq.read_schema(path).metadata
    changed = table.with_columns(ua=1 - pl.col("ua")).to_arrow()
    pq.write_table(changed.replace_schema_metadata(metadata), path)


HARMS: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "shard": ("features/mfcc/00.h5", swap_frames, "frames is not what was written"),
    "cut shard": ("features/mfcc/01.h5", lambda p: os.truncate(p, 3000), "is no HDF5 file"),
    "no shard": ("features/mfcc/01.h5", Path.unlink, "is missing"),
    "index": ("features/mfcc/index.parquet", lambda p: flip(p, 6), "cannot be read as Parquet"),
    "perturbed": ("perturbed/loud/mfcc/00.h5", swap_frames, "frames is not what was written"),
    "weights": ("runs/mfcc/fold1/all/model.safetensors", flip, "not what its run.json says"),
    "predictions": ("runs/mfcc/fold1/all/predictions.parquet", flip, "predictions.parquet"),
    "no history": ("runs/mfcc/fold1/all/history.parquet", Path.unlink, "is missing"),
    "no JSON": ("runs/mfcc/fold1/all/run.json", lambda p: p.write_text("{"), "is not JSON"),
    "other settings": (
        "runs/mfcc/fold1/all/run.json",
        lambda p: edit_json(p, lambda run: run["settings"].update(seed=99)),
        "has other settings than their digest says",
    ),
    "other features": (
        "runs/mfcc/fold1/all/run.json",
        lambda p: edit_json(p, lambda run: run["inputs"][0].update(features_sha256="0" * 64)),
        "was trained on other features",
    ),
    "fold": ("protocol/fold2.parquet", Path.unlink, "is missing"),
    "utterances": ("corpus/utterances.parquet", lambda p: flip(p, 60), "utterances.parquet"),
    "score": ("tables/scores.parquet", rewrite, "is not what was written"),
    "leaf": ("tables/published.parquet", lambda p: flip(p, 6), "cannot be read as Parquet"),
    "csv": ("tables/scores.csv", lambda p: flip(p), "does not say what the Parquet table"),
    "foreign": ("tables/mine.parquet", lambda p: p.write_text("x"), "no file that a study makes"),
    "link": ("figures/mine.svg", lambda p: p.symlink_to("/etc/passwd"), "a link out of it"),
    "stamp": ("checkpoints/tiny.json", lambda p: p.write_text("[]"), "is damaged"),
    "newline": ("a\nb", lambda p: p.write_text("x"), "a\\nb is no file"),
}


@pytest.mark.parametrize("name", HARMS)
def test_whatever_is_wrong_is_named(results: Path, name: str) -> None:
    from emoscale.reporting.verification.study_tree import verify_study

    file, harm, sentence = HARMS[name]
    harm(results / file)
    found = verify_study(results)
    assert not found.is_right
    wrong = [finding for finding in found.findings if finding.is_wrong]
    assert any(f.path == results / file and sentence in f.sentence for f in wrong), wrong


def test_quick_reads_no_shards(results: Path) -> None:
    swap_frames(results / "features" / "mfcc" / "00.h5")
    assert verify(results, "--quick")[0] == 0
    status, said = verify(results)
    assert status == 1
    assert "damaged: " in said
    assert "make it again with: snakemake" in said
    assert said.splitlines()[-1] == "1 wrong"


def test_a_table_that_names_files_elsewhere(results: Path) -> None:
    path = results / "tables" / "scores.parquet"
    arrow = pq.read_table(path)
    metadata = {b"made_from": json.dumps({"../../../../etc/passwd": "x"}).encode()}
    pq.write_table(arrow.replace_schema_metadata(metadata), path)
    status, said = verify(results, "--quick")
    assert status == 1
    assert "has no digest of its content" in said


def test_a_damaged_table_is_made_again_by_the_next_run(finished: Checkout) -> None:
    """A fold that a training reads: the run that meets it ends, and the one after it mends it."""
    results = finished.folder / "results" / "small"
    fold = results / "protocol" / "fold2.parquet"
    whole, before = fold.read_bytes(), os.stat(fold)
    flip(fold, 60)
    os.utime(fold, ns=(before.st_atime_ns, before.st_mtime_ns))  # as a disk does it
    shutil.rmtree(results / "runs" / "mfcc" / "fold2")
    wanted = "results/small/runs/mfcc/fold2/all/run.json"
    ran = finished.run("--cores", "2", wanted, config=SMALL)
    assert ran.returncode != 0
    log = results / "logs" / "train" / "mfcc" / "fold2" / "all.log"
    assert "it was moved to fold2.parquet.damaged" in log.read_text()
    ran = finished.run("--cores", "2", wanted, config=SMALL)
    assert ran.returncode == 0, ran.stdout
    ran = finished.run("--cores", "2", config=SMALL)
    assert ran.returncode == 0, ran.stdout
    assert fold.read_bytes() == whole
    status, said = verify(results)
    assert status == 0, said
    assert "fold2.parquet.damaged was moved aside" in said


def test_a_damaged_shard_is_made_again_by_the_next_run(finished: Checkout) -> None:
    """Behind an index, which is moved aside with it, because Snakemake looks no further."""
    results = finished.folder / "results" / "small"
    shard = results / "features" / "mfcc" / "00.h5"
    whole, before = shard.read_bytes(), os.stat(shard)
    swap_frames(shard)
    os.utime(shard, ns=(before.st_atime_ns, before.st_mtime_ns))
    shutil.rmtree(results / "runs" / "mfcc" / "fold1")
    wanted = "results/small/runs/mfcc/fold1/all/run.json"
    ran = finished.run("--cores", "2", wanted, config=SMALL)
    assert ran.returncode != 0
    assert (shard.parent / "00.h5.damaged").exists()
    assert (shard.parent / "index.parquet.aside").exists()
    ran = finished.run("--cores", "2", wanted, config=SMALL)
    assert ran.returncode == 0, ran.stdout
    ran = finished.run("--cores", "2", config=SMALL)
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
