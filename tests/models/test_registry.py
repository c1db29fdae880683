"""The code that the digest of a training covers: every module that the training imports."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from emoscale.config import parse_settings
from emoscale.config.models import ModelSettings
from emoscale.config.search import trials_of
from emoscale.config.training import TrainingSettings
from emoscale.models.registry import BUILT_IN, sources_of
from emoscale.runtime.provenance import PACKAGE, source_digests

POOLED, RECURRENT = {"kind": "pooled"}, {"kind": "recurrent"}
MODELS: dict[str, dict[str, Any]] = {kind: {"kind": kind} for kind in BUILT_IN}
MODELS["late_fusion"] = {"kind": "late_fusion", "branches": [POOLED, RECURRENT]}

IMPORTED_BY_TRAINING = """
import json, sys
sys.path.insert(0, sys.argv[1])
import torch, train
from emoscale.config import parse_settings
from emoscale.config.models import ModelSettings
from emoscale.models.contract import InputShape
from emoscale.models.registry import FITTING, build_model
settings = parse_settings(ModelSettings, sys.argv[2], "settings")
dimension = 1 if settings.kind == "waveform" else 4
if settings.kind == "estimator":
    __import__(FITTING)
build_model(settings, [InputShape(dimension, frame_rate=100.0)] * settings.inputs, 2)
files = [module.__file__ for name, module in sys.modules.items() if name.startswith("emoscale")]
print(json.dumps(files))
"""
"""Prints the files of all emoscale modules that train.py and building a model have imported."""


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_the_digest_covers_every_module_that_a_training_imports(
    project: Path, model: dict[str, Any]
) -> None:
    scripts = project / "scripts"
    ran = subprocess.run(
        [sys.executable, "-c", IMPORTED_BY_TRAINING, str(scripts), json.dumps(model)],
        capture_output=True,
        text=True,
        check=True,
    )
    imported = {str(Path(file).relative_to(PACKAGE)) for file in json.loads(ran.stdout)}
    settings = parse_settings(ModelSettings, model, "model")
    covered = set(source_digests(scripts / "train.py", *sources_of(settings)))
    assert imported <= covered, sorted(imported - covered)
    assert f"models/{Path(sources_of(settings)[0].replace('.', '/')).name}.py" in imported


def test_a_search_over_branches_adds_their_modules() -> None:
    branches = [[POOLED, POOLED], [POOLED, {"kind": "convolutional"}]]
    model = parse_settings(ModelSettings, {"kind": "late_fusion", "branches": branches[0]}, "model")
    trials = trials_of(model, TrainingSettings(), {"model.branches": branches})
    assert sources_of(*(trial.model for trial in trials)) == [
        "emoscale.models.late_fusion",
        "emoscale.models.pooled",
        "emoscale.models.convolutional",
    ]
