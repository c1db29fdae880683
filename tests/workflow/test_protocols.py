"""Fold files and several corpora in Snakemake, up to the protocol checks before training."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from tests.conftest import PROJECT, WriteWav
from tests.protocol.small_corpora import of_role, write_fold_file

CHECKS = "results/small/protocol/checks.json"
STUDY: dict[str, Any] = {
    "study": "small",
    "shards": 2,
    "labels": {"classes": {"up": ["happy", "own:joy"], "down": ["sad", "own:grief"]}},
    "representations": {"mfcc": {"kind": "mfcc"}},
    "sizes": ["all"],
    "models": {"mean": {"kind": "pooled"}},
    "experiments": {"mfcc": {"representations": ["mfcc"], "model": "mean"}},
}
SEVERAL: dict[str, Any] = {
    **STUDY,
    "corpus": {
        "reader": "several",
        "root": "data",
        "corpora": {
            "first": {"reader": "csv", "root": "first"},
            "own": {"reader": "csv", "root": "own"},
        },
    },
    "protocol": {
        "fold_unit": "corpus",
        "folds": 1,
        "test_units": ["own"],
        "development": "speakers",
        "development_speakers": 1,
        "repeats": 1,
    },
}
FILE: dict[str, Any] = {
    **STUDY,
    "labels": {"classes": {"up": ["happy"], "down": ["sad"]}},
    "corpus": {"reader": "csv", "root": "data/first"},
    "protocol": {"fold_unit": "file", "fold_file": "folds.csv", "folds": 3, "repeats": 1},
}


@pytest.fixture
def folder(tmp_path: Path, write_wav: WriteWav) -> Path:
    """Write two corpora of three speakers each, with different sample rates and label sets."""
    for number, (corpus, labels) in enumerate((("first", "happy sad"), ("own", "joy grief"))):
        rows = ["file,speaker,emotion"]
        for speaker in range(3):
            for index, label in enumerate(labels.split()):
                name = f"{speaker}{label}.wav"
                tone = 200.0 + 300 * number + 60 * speaker + 20 * index
                write_wav(f"data/{corpus}/{name}", 0.2, rate=8_000 * (1 + number), frequency=tone)
                rows.append(f"{name},{speaker},{label}")
        (tmp_path / "data" / corpus / "utterances.csv").write_text("\n".join([*rows, ""]))
    return tmp_path


def snakemake(folder: Path, config: dict[str, Any], *arguments: str) -> str:
    (folder / "study.yaml").write_text(yaml.safe_dump(config))
    program = [str(Path(sys.executable).with_name("snakemake")), "--cores", "2"]
    program += ["--snakefile", str(PROJECT / "Snakefile"), "--directory", str(folder)]
    program += ["--workflow-profile", str(PROJECT / "profiles" / "default")]
    program += [*arguments, "--configfile", str(folder / "study.yaml")]
    ran = subprocess.run(
        program, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    return ran.stdout


def planned(folder: Path, config: dict[str, Any], *targets: str) -> dict[str, int]:
    counts = re.findall(
        r"^(\w+) +(\d+)$", snakemake(folder, config, "--dry-run", *targets), flags=re.MULTILINE
    )
    return {rule: int(count) for rule, count in counts if rule != "total"}


@pytest.mark.slow
def test_training_and_testing_on_different_corpora(folder: Path) -> None:
    log = snakemake(folder, SEVERAL, CHECKS)
    report = json.loads((folder / CHECKS).read_text())
    assert report["folds"]["fold1"]["utterances"] == {"train": 4, "dev": 2, "test": 6}, log
    assert report["folds"]["fold1"]["speakers"]["test"] == ["own:0", "own:1", "own:2"]
    units_warning, noise_warning = report["warnings"]
    assert units_warning == (
        "only own is tested; all other units are only used for training and development"
    )
    assert "signal-to-noise ratio" in noise_warning  # these recordings are noise
    # Modification times and other files in the folder do not matter.
    (folder / "data" / "notes.txt").touch()
    (folder / "data" / "own" / "utterances.csv").touch()
    (folder / "data" / "own" / "0joy.wav").touch()
    assert planned(folder, SEVERAL, CHECKS) == {}


def test_every_pair_of_corpora_has_its_folds_and_scores(folder: Path) -> None:
    protocol = {"fold_unit": "corpus_pairs", "folds": 4, "development": "none", "repeats": 1}
    training = {"early_stopping": False}
    jobs = planned(folder, {**SEVERAL, "protocol": protocol, "training": training})
    assert jobs["make_fold"] == jobs["train"] == 4
    assert jobs["score_corpus_pairs"] == 1


@pytest.mark.slow
def test_a_changed_fold_file_reruns_the_folds(folder: Path) -> None:
    keys = [f"{speaker}{word}" for speaker in range(3) for word in ("happy", "sad")]
    rows: list[tuple[object, ...]] = [(key, int(key[0]) + 1) for key in keys]
    path = write_fold_file(folder / "folds.csv", rows, "utterance", "fold")
    log = snakemake(folder, FILE, CHECKS)
    fold = folder / "results" / "small" / "protocol" / "fold1.parquet"
    assert of_role(pl.read_parquet(fold), "test") == {"0happy", "0sad"}, log
    Path(path).touch()
    assert planned(folder, FILE, CHECKS) == {}
    write_fold_file(
        folder / "folds.csv", [(key, 3 - int(key[0])) for key in keys], "utterance", "fold"
    )
    assert planned(folder, FILE, CHECKS) == {"make_fold": 3, "check_protocol": 1}


@pytest.mark.slow
def test_a_leak_in_a_fold_file_is_reported(folder: Path) -> None:
    keys = [f"{speaker}{word}" for speaker in range(3) for word in ("happy", "sad")]
    rows: list[tuple[object, ...]] = [(key, number % 3) for number, key in enumerate(keys)]
    write_fold_file(folder / "folds.csv", rows, "utterance", "fold")
    log = snakemake(folder, FILE, CHECKS)
    assert re.search(r"speaker \d is in the roles .* or set protocol.allow_shared_speakers", log)
    assert "Traceback" not in log
