"""Configurations: their values, and the YAML that they are written in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from random import Random
from typing import Any

import yaml

from emoscale.config import parse_study
from emoscale.config.configuration_file import read_configuration_file
from emoscale.config.study import Study
from tests.fuzz.damage import HOSTILE_VALUES, change_text, damaged_value, plausible_change
from tests.fuzz.kind import Kind

PROJECT = Path(__file__).resolve().parent.parent.parent

BOMB = "".join(
    [
        "l0: &l0 [x, x, x, x, x, x, x, x, x]\n",
        *(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 12)),
    ]
)
ADDED = (
    BOMB,
    "a: &a [*a]\n",
    "seed: 1\nseed: 2\n",
    "__use_yte__: true\n?__import__('os').system('touch ../pwned'): 1\n",
    "what: &key __use_yte__\n*key : true\n?__import__('os').system('touch ../pwned'): 1\n",
    "<<: {__use_yte__: true}\n?__import__('os').system('touch ../pwned'): 1\n",
    "seed: !!python/object/apply:os.system ['touch ../pwned']\n",
    "seed: !!python/name:os.system\n",
    "deep: " + "[" * 3000 + "]" * 3000 + "\n",
    "deep: " + "{a: " * 60 + "1" + "}" * 60 + "\n",
    "long: " + "x" * 2_000_000 + "\n",
    "when: 2024-13-45\n",
    "number: " + "9" * 5000 + "\n",
)


def _make(folder: Path) -> None:
    for path in (PROJECT / "config").glob("*.yaml"):
        shutil.copy(path, folder)


def _change_values(folder: Path, random: Random) -> None:
    """One configuration, as JSON, with another value or two.

    Half of the time all keys are written out, those too that have a default; half of the time the
    other values are such as somebody might try, and most of those are accepted.
    """
    contents = [yaml.safe_load(path.read_text()) for path in sorted(folder.glob("*.yaml"))]
    content: Any = random.choice(contents)
    if random.random() < 0.5:
        content = parse_study(content).model_dump(mode="json")
    if random.random() < 0.65:
        changed = plausible_change(content, random, contents)
    else:
        changed = damaged_value(content, random, HOSTILE_VALUES)
    for other in folder.glob("*.yaml"):
        other.unlink()
    (folder / "study.json").write_text(json.dumps(changed), encoding="utf-8")


def _change_text(folder: Path, random: Random) -> None:
    if random.random() < 0.7:
        change_text("*.yaml")(folder, random)
    else:
        path = random.choice(sorted(folder.glob("*.yaml")))
        path.write_text(path.read_text() + random.choice(ADDED))


def _read_values(folder: Path) -> None:
    for path in sorted(folder.glob("*.json")):
        use(parse_study(json.loads(path.read_text())))
    _read_text(folder)


def _read_text(folder: Path) -> None:
    for path in sorted(folder.glob("*.yaml")):
        use(parse_study(read_configuration_file(path)))


def use(study: Study) -> None:
    """Ask a study whatever the rules ask; what becomes part of a path must be a plain name."""
    names = [
        study.study,
        *study.representations,
        *study.checkpoints,
        *study.experiments,
        *study.fold_names(),
        *study.shard_names(),
        *study.size_names(),
        *study.robustness.conditions,
        *study.labels.classes,
    ]
    for name in names:
        assert name.replace("-", "").replace("_", "").isalnum(), name
        assert name.isascii(), name
    assert not set("{}\n\0") & set(study.folder), study.folder
    for own in (study.corpus_slice, study.audio_slice, study.labels_slice, study.protocol_slice):
        json.loads(own())
    study.audit_slice()
    study.evidence_slice()
    for name in study.representations:
        study.representation_slice(name)
        study.checkpoints_of(name)
    for name in study.checkpoints:
        study.checkpoint_slice(name)
    for name in study.experiments:
        study.training_slice(name)
        study.prediction_slice(name)
        study.sizes_of(name)
        study.audio_of(name)
    for name in study.robustness.conditions:
        study.condition_slice(name)
    study.robustness_sizes()


SETTINGS = [
    Kind("configuration", _make, _change_values, _read_values),
    Kind("configuration text", _make, _change_text, _read_text),
]
