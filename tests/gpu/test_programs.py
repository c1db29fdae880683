"""`make test-gpu` and `make bench-gpu`: here on a CPU, with tiny networks.

The GPU's machine may have few packages, so the programs run without the others.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from emoscale.config import parse_settings
from emoscale.config.models import ModelSettings
from emoscale.config.training import TrainingSettings
from tests.gpu import check
from tests.gpu.cases import CASES, MODEL_DEFAULTS, TRAINING_DEFAULTS, random_network

PROGRAMS = {"check": ["-m", "tests.gpu.check"], "speed": ["benchmarks/gpu_speed.py"]}
MISSING = ("polars", "pydantic", "soundfile", "soxr", "snakemake", "opensmile", "torchaudio")


def run_program(name: str, project: Path, folder: Path, *options: str) -> str:
    """Run a program in an interpreter, and children, that cannot import `MISSING`."""
    block = f"import sys; sys.modules.update(dict.fromkeys({MISSING}))"
    (folder / "sitecustomize.py").write_text(block)
    paths = (folder, project / "workflow", project)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}
    command = [sys.executable, *PROGRAMS[name], *options]
    run = subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_check_on_a_cpu(project: Path, tmp_path: Path) -> None:
    output = tmp_path / "new folder" / "check.json"
    table = run_program("check", project, tmp_path, *tiny(output))
    results = json.loads(output.read_text())["results"]
    assert {result["passed"] for result in results} == {True}
    assert table.count("| yes |") == len(results) > 30
    checks = " ".join(result["check"] for result in results)
    assert all(word in checks for word in ("killed", "same time", "probabilities", "batch"))


def test_speed_on_a_cpu(project: Path, tmp_path: Path) -> None:
    output = tmp_path / "speed.json"
    text = run_program("speed", project, tmp_path, *tiny(output))
    results = json.loads(output.read_text())
    assert results["left out"] == []
    assert {row["network"] for row in results["extraction"]} >= {"wav2vec_large", "Whisper large"}
    assert results["training, steps/s"].keys() > {"wav2vec", "aligned_to_words", "late_fusion"}
    assert all(row["alone"] > 0 for row in results["training, steps/s"].values())
    assert f"{results['hours of config/iemocap.yaml']['alone']:.1f} h on one GPU" in text


@pytest.mark.parametrize("name", ["tests.gpu.check", "gpu_speed"])
def test_without_a_gpu(name: str, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    monkeypatch.syspath_prepend(project / "benchmarks")
    run = CliRunner().invoke(importlib.import_module(name).main, [])
    assert (run.exit_code, run.output) == (0, "skipped: torch finds no CUDA GPU\n")


def test_a_difference_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    results = [check.Result("weights", "pooled", "different", False)]
    monkeypatch.setattr(check, "check_processes", lambda *_: results)
    monkeypatch.setattr(check, "TINY_CASES", ())
    monkeypatch.setattr(check, "TINY_NETWORKS", ())
    run = CliRunner().invoke(check.main, ["--device", "cpu", "--tiny"])
    assert run.exit_code == 1
    assert "| weights | pooled | different | NO |" in run.output
    monkeypatch.setattr(check, "check_processes", fail)
    run = CliRunner().invoke(check.main, ["--device", "cpu", "--tiny"])
    assert run.exit_code == 1
    assert "| error |" in run.output
    run = CliRunner().invoke(check.main, ["--device", "cpu", "--tiny", "--seconds", "0"])
    assert "1 of 1 checks were left out, for time" in run.output


def fail(*_: object) -> None:
    raise RuntimeError("no kernel")


def tiny(output: Path) -> tuple[str, ...]:
    return ("--device", "cpu", "--tiny", "--output", str(output))


@pytest.mark.parametrize(
    ("name", "millions"),
    {
        "wav2vec_large": 29.4,  # without the layers that only pre-training uses
        "wav2vec 2.0 base": 94.4,
        "wav2vec 2.0 large": 315.4,
        "WavLM base": 94.4,
        "WavLM large": 315.5,
        "Whisper base": 20.6,
        "Whisper large": 637.0,
    }.items(),
)
def test_networks_have_the_size_of_the_public_ones(name: str, millions: float) -> None:
    network = random_network(name, "meta")
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count / 1e6 == pytest.approx(millions, rel=0.01)


def test_defaults_are_those_of_the_configuration() -> None:
    for case in CASES.values():
        kind = case.model["kind"]
        required = {"branches": case.model["branches"]} if kind == "late_fusion" else {}
        settings = parse_settings(ModelSettings, {"kind": kind, **required}, kind).model_dump()
        assert {"kind": kind, **MODEL_DEFAULTS[kind]}.items() <= settings.items()
        assert settings.keys() == {"kind", *MODEL_DEFAULTS[kind], *required}
    training = TrainingSettings().model_dump(exclude={"augmentation"})
    assert training == TRAINING_DEFAULTS
