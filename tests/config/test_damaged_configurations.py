"""A damaged configuration is parsed, or refused with an error that names the file or the key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from emoscale.config import parse_study
from emoscale.config.configuration_file import read_configuration_file
from emoscale.config.study import Study
from tests.conftest import PROJECT
from tests.damage import check_reading, damaged_text, damaged_tree

TEXTS = [path.read_text() for path in sorted((PROJECT / "config").glob("*.yaml"))]
TREES = [yaml.safe_load(text) for text in TEXTS]
TREES += [parse_study(tree).model_dump(mode="json") for tree in TREES]  # defaults written out
KEYS = [*Study.model_fields, "unknown key"]
NESTED_ALIASES = "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]\n" for n in range(1, 12))
SUFFIXES = (
    "",
    "a: &a [*a]\n",
    f"l0: &l0 [x, x, x]\n{NESTED_ALIASES}",
    "seed: 1\nseed: 2\n",
    "__use_yte__: true\n?__import__('os').system('touch ../pwned'): 1\n",
    "<<: {__use_yte__: true}\n?__import__('os').system('touch ../pwned'): 1\n",
    "seed: !!python/object/apply:os.system ['touch ../pwned']\n",
    "seed: !!python/name:os.system\n",
    f"deep: {'[' * 3000}{']' * 3000}\n",
    f"long: {'x' * 2_000_000}\n",
    "when: 2024-13-45\n",
    f"number: {'9' * 5000}\n",
)


def use(study: Study) -> None:
    """Call what the workflow rules call; names that become path components must be ASCII words."""
    names = [study.study, *study.representations, *study.checkpoints, *study.experiments]
    names += [*study.fold_names(), *study.shard_names(), *study.size_names()]
    names += [*study.robustness.conditions, *study.labels.classes]
    for name in names:
        assert name.isascii(), name
        assert name.replace("-", "").replace("_", "").isalnum(), name
    assert not set("{}\n\0") & set(study.folder), study.folder
    for settings_json in (
        study.corpus_settings,
        study.audio_settings,
        study.labels_settings,
        study.protocol_settings,
    ):
        json.loads(settings_json())
    for representation in study.representations:
        study.representation_settings(representation)
    for experiment in study.experiments:
        study.training_settings(experiment)


@settings(max_examples=200)
@given(tree=st.sampled_from(TREES).flatmap(lambda tree: damaged_tree(tree, TREES)))
def test_damaged_values(tmp_path: Path, tree: Any) -> None:
    check_reading(tmp_path, lambda: use(parse_study(tree)), KEYS)


@settings(max_examples=100)
@given(text=st.sampled_from(TEXTS).flatmap(damaged_text), suffix=st.sampled_from(SUFFIXES))
def test_damaged_text(tmp_path: Path, text: bytes, suffix: str) -> None:
    path = tmp_path / "study.yaml"
    path.write_bytes(text + suffix.encode())
    check_reading(tmp_path, lambda: use(parse_study(read_configuration_file(path))), KEYS)
