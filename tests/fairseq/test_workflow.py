"""Rules of the fairseq backend in the workflow, from the corpus to the feature store."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from emoscale.store.shard import read_header, read_shard
from tests.conftest import PROJECT
from tests.fairseq.backend import PYTHON, needs_fairseq
from tests.workflow.test_study import STUDY, Checkout

pytestmark = needs_fairseq

CHECKPOINTS = {
    "continuous": {"untrained": "wav2vec", "seed": 1},
    "quantised": {"untrained": "vq_wav2vec", "seed": 1},
}
NATIVE: dict[str, dict[str, Any]] = {
    "z": {"kind": "wav2vec", "checkpoint": "continuous", "output": "z"},
    "c": {"kind": "wav2vec", "checkpoint": "continuous", "output": "c"},
    "codes": {"kind": "vq_wav2vec", "checkpoint": "quantised", "output": "codes"},
}
BACKENDS = {"native": "native", "original": "fairseq"}


def test_stores_of_both_backends_agree(tmp_path: Path) -> None:
    shutil.copy(PROJECT / "Snakefile", tmp_path)
    for name in ("workflow", "scripts", "envs", "profiles"):
        shutil.copytree(PROJECT / name, tmp_path / name)
    representations = {
        f"{name}_{label}": {**settings, "backend": backend, "storage_dtype": "float32"}
        for name, settings in NATIVE.items()
        for label, backend in BACKENDS.items()
    }
    config = {
        **STUDY,
        "checkpoints": CHECKPOINTS,
        "execution": {"checkpoint_cache": "cache", "fairseq_python": PYTHON},
        "representations": representations,
        "experiments": {"any": {"representations": ["z_native"], "model": "mean"}},
    }
    features = Path("results/small/features")
    targets = [str(features / name / "index.parquet") for name in representations]
    process = Checkout(tmp_path).run("--cores", "2", *targets, config=config)
    assert process.returncode == 0, process.stdout
    print("\n\nlargest difference between the stores of the workflow")
    for name in NATIVE:
        for shard in ("00.h5", "01.h5"):
            paths = [tmp_path / features / f"{name}_{label}" / shard for label in BACKENDS]
            ours, theirs = (read_shard(path) for path in paths)
            headers = [read_header(path) for path in paths]
            assert ours.utterances == theirs.utterances
            assert len(ours.utterances) > 50
            if name == "codes":  # rounding may select the other of two equally close vectors
                unequal = int((ours.frames != theirs.frames).sum())
                print(f"  {name:6} {shard}  {unequal} of {ours.frames.size} codes differ")
                assert unequal < ours.frames.size / 10_000
            else:
                difference = float(np.abs(np.subtract(ours.frames, theirs.frames)).max())
                print(f"  {name:6} {shard}  {difference:.1e}")
                assert difference < 1e-4
            assert headers[0].checkpoint_sha256 == headers[1].checkpoint_sha256
            assert headers[0].code_sha256 != headers[1].code_sha256
            assert headers[0].pretrained_weights == headers[1].pretrained_weights != ""
