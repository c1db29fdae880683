"""A pre-training that is killed continues from its saved state, and ends with the same weights."""

from __future__ import annotations

import copy
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch

from emoscale.representations.weights.local_checkpoint import read_checkpoint_record
from tests.audit.speech import write_corpus
from tests.conftest import PROJECT
from tests.pretraining.speech_files import write_tones
from tests.slurm.cluster import processes_with
from tests.workflow.small_study import ROWS, STUDY, environment, write_config

STEPS = 400
CONFIG: dict[str, Any] = {
    **copy.deepcopy(STUDY),
    "checkpoints": {
        "learned": {
            "pretrain": "wav2vec",
            "speech": {"reader": "folder", "root": "unlabelled"},
            "steps": STEPS,
            "warmup_steps": 10,
            "batch_seconds": 2.0,
            "micro_batch_seconds": 1.0,
            "crop_seconds": 0.5,
            "architecture": {
                "conv_feature_layers": [[16, 10, 5], [16, 8, 4], [16, 4, 4]],
                "conv_aggregator_layers": [[16, 3, 1]],
                "prediction_steps": 3,
            },
        }
    },
    "representations": {
        **STUDY["representations"],
        "learned": {"kind": "wav2vec", "checkpoint": "learned"},
    },
    "experiments": {
        **STUDY["experiments"],
        "learned": {"representations": ["learned"], "model": "svm"},
    },
}
RECORD = Path("results") / "small" / "checkpoints" / "learned.json"
STATE = Path("results") / "small" / ".pretraining" / "learned.pt"
LOG = Path("results") / "small" / "logs" / "pretrain" / "learned.log"


def checkout_that_saves_each_step(folder: Path) -> Path:
    """Copy the project; in the copy, a pre-training saves its state after each step."""
    for name in ("workflow", "scripts", "envs", "profiles"):
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "Snakefile", folder)
    trainer = folder / "workflow" / "emoscale" / "pretraining" / "trainer.py"
    interval = "SECONDS_BETWEEN_SAVES = 120.0"
    assert trainer.read_text().count(interval) == 1
    trainer.write_text(trainer.read_text().replace(interval, "SECONDS_BETWEEN_SAVES = 0.0"))
    return folder


def write_study(folder: Path) -> Path:
    """Write the study in a folder, and return the folder."""
    write_corpus(folder / "recordings", ROWS)
    write_tones(folder / "unlabelled", [0.7] * 8)
    write_config(folder, CONFIG)
    return folder


def start(folder: Path, project: Path) -> subprocess.Popen:
    """Start the pre-training with Snakemake."""
    program = [str(Path(sys.executable).with_name("snakemake")), "--snakefile"]
    program += [str(project / "Snakefile"), "--configfile", "config/small.yaml", "--cores", "1"]
    with open(folder / "run.log", "ab") as log:
        return subprocess.Popen(
            [*program, "--rerun-incomplete", str(RECORD)],
            cwd=folder,
            env=environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def kill_in_the_middle(folder: Path, run: subprocess.Popen) -> int:
    """Kill the program that pre-trains after its state was saved; return the saved step."""
    while not (folder / STATE).exists():
        assert run.poll() is None, (folder / "run.log").read_text()[-6000:]
        time.sleep(0.01)
    (process,) = processes_with("pretrain.py", folder)
    os.kill(process, signal.SIGKILL)
    assert run.wait() != 0
    return int(torch.load(folder / STATE, weights_only=True)["step"])


@pytest.mark.slow
def test_a_killed_pre_training_ends_with_the_same_weights(tmp_path: Path) -> None:
    project = checkout_that_saves_each_step(tmp_path / "checkout")
    killed, undisturbed = (write_study(tmp_path / name) for name in ("killed", "undisturbed"))
    step = kill_in_the_middle(killed, start(killed, project))
    assert 0 < step < STEPS
    for folder, checkout in ((killed, project), (undisturbed, PROJECT)):
        assert start(folder, checkout).wait() == 0, (folder / "run.log").read_text()[-6000:]
    first_line = (killed / LOG).read_text().splitlines()[0]
    assert first_line == f"continuing after step {step:,} of {STEPS:,}"
    records = [read_checkpoint_record(folder / RECORD) for folder in (killed, undisturbed)]
    assert records[0].sha256 == records[1].sha256
    history = RECORD.with_suffix("") / "history.parquet"
    one, other = (pl.read_parquet(folder / history) for folder in (killed, undisturbed))
    assert one.equals(other)
    assert one["held_out_loss"][-1] < one["held_out_loss"][0]
    assert not (killed / STATE).exists()
