"""Which steps compute on a GPU; these request the resource `gpu`."""

from __future__ import annotations

import re
from pathlib import Path

from tests.audit.speech import write_corpus
from tests.workflow.small_study import ROWS, STUDY, snakemake, write_config


def test_only_networks_compute_on_a_gpu(tmp_path: Path) -> None:
    study = {
        **STUDY,
        "execution": {"device": "cuda"},
        "checkpoints": {"tiny": {"untrained": "wav2vec2"}},
        "representations": {
            **STUDY["representations"],
            "network": {"kind": "transformers_audio", "model": "tiny"},
        },
        "models": {**STUDY["models"], "pooled": {"kind": "pooled"}},
        "experiments": {
            "estimator": {"representations": ["network"], "model": "svm"},
            "trained": {"representations": ["mfcc"], "model": "pooled"},
        },
        "robustness": {
            "experiments": "all",
            "conditions": {"white": {"noise": "white", "snr_db": 9}},
        },
    }
    write_corpus(tmp_path / "recordings", ROWS)
    config = write_config(tmp_path, study)
    planned = snakemake(tmp_path, config, "--dry-run", "--printshellcmds", "--quiet", "host")
    assert planned.returncode == 0, planned.stdout
    steps = re.findall(r"--output results/small/(\S+) --device (\w+)", planned.stdout)
    assert {(path.rpartition("/fold")[0], device) for path, device in steps if "fold" in path} == {
        ("runs/trained", "cuda"),
        ("runs/estimator", "cpu"),
        ("robustness/trained", "cuda"),
        ("robustness/estimator", "cpu"),
    }
    assert {(path, device) for path, device in steps if "fold" not in path} == {
        ("features/network/00.h5", "cuda"),
        ("features/mfcc/00.h5", "cpu"),
        ("perturbed/white/network/00.h5", "cuda"),
        ("perturbed/white/mfcc/00.h5", "cpu"),
    }
