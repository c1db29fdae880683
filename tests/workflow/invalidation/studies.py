"""The studies whose keys are changed: one with all kinds, and a small one with corpora of files."""

from __future__ import annotations

import copy
from typing import Any

EXTERNAL = "tests.workflow.external_representation:MeanAmplitude"
PRETRAINED: dict[str, dict[str, Any]] = {
    "generated": {
        "pretrain": "wav2vec",
        "speech": {"reader": "demo_speech", "root": "results/speech"},
        "steps": 1000,
        "architecture": {"num_negatives": 9},
    },
    "continued": {
        "pretrain": "wav2vec",
        "speech": {"reader": "folder", "root": "recordings"},
        "steps": 1000,
        "continue_from": "generated",
        "architecture": {"num_negatives": 9},
    },
    "masked": {
        "pretrain": "wav2vec2",
        "speech": {"reader": "csv", "root": "recordings"},
        "steps": 1000,
    },
}
"""Checkpoints that the study pre-trains; each is used by a representation of the same name."""

ON_PRETRAINED: dict[str, dict[str, Any]] = {
    "generated": {"kind": "wav2vec", "checkpoint": "generated"},
    "continued": {"kind": "wav2vec", "checkpoint": "continued"},
    "masked": {"kind": "transformers_audio", "model": "masked"},
}
EXPERIMENTS_ON_PRETRAINED: dict[str, dict[str, Any]] = {
    name: {"representations": [name], "model": "pooled"} for name in PRETRAINED
}
STUDY: dict[str, Any] = {
    "study": "wide",
    "seed": 3,
    "corpus": {
        "reader": "demo",
        "root": "results/raw",
        "sessions": 3,
        "utterances_per_session": 48,
    },
    "shards": 1,
    "execution": {"fairseq_python": "python3.8"},
    "labels": {"classes": {"active": ["ang", "hap", "exc"], "calm": ["neu", "sad"]}},
    "checkpoints": {
        "file": {"url": "https://example.org/w.pt"},
        "hub": {"hub": "some/model"},
        "untrained": {"untrained": "wav2vec2"},
        **PRETRAINED,
    },
    "representations": {
        **ON_PRETRAINED,
        "logmel": {"kind": "logmel"},
        "mfcc": {"kind": "mfcc"},
        "opensmile": {"kind": "opensmile", "feature_level": "functionals"},
        "waveform": {"kind": "waveform"},
        "wav2vec": {"kind": "wav2vec", "checkpoint": "file"},
        "vq": {"kind": "vq_wav2vec", "checkpoint": "vq.pt"},
        "roberta": {"kind": "code_roberta", "checkpoint": "vq.pt", "model": "roberta.pt"},
        "wav2vec2": {"kind": "transformers_audio", "model": "untrained", "layer": [0, 2]},
        "bert": {"kind": "transformers_text", "model": "hub"},
        "external": {"kind": EXTERNAL},
    },
    "protocol": {"fold_unit": "session", "folds": 1, "test_units": ["Ses01"], "repeats": 2},
    "sizes": [8, "all"],
    "models": {
        "pooled": {"kind": "pooled"},
        "convolutional": {"kind": "convolutional"},
        "recurrent": {"kind": "recurrent"},
        "waveform": {"kind": "waveform"},
        "svm": {"kind": "estimator"},
        "aligned": {"kind": "aligned_fusion"},
        "early": {"kind": "early_fusion"},
        "late": {
            "kind": "late_fusion",
            "branches": [{"kind": "pooled"}, {"kind": "convolutional"}],
        },
        "later": {
            "kind": "late_fusion",
            "branches": [{"kind": "recurrent"}, {"kind": "recurrent"}],
        },
    },
    "experiments": {
        "logmel": {"representations": ["logmel"], "model": "pooled"},
        "mfcc": {"representations": ["mfcc"], "model": "convolutional"},
        "opensmile": {"representations": ["opensmile"], "model": "svm"},
        "waveform": {"representations": ["waveform"], "model": "waveform"},
        "wav2vec": {"representations": ["wav2vec"], "model": "recurrent"},
        "vq": {"representations": ["vq"], "model": "pooled"},
        "roberta": {"representations": ["roberta"], "model": "pooled"},
        "wav2vec2": {"representations": ["wav2vec2/2"], "model": "pooled"},
        "bert": {"representations": ["bert"], "model": "pooled"},
        "external": {"representations": ["external"], "model": "pooled"},
        "aligned": {"representations": ["logmel", "bert"], "model": "aligned"},
        "early": {"representations": ["logmel", "bert"], "model": "early"},
        "late": {"representations": ["logmel", "bert"], "model": "late"},
        "later": {"representations": ["logmel", "bert"], "model": "later"},
        **EXPERIMENTS_ON_PRETRAINED,
    },
    "robustness": {
        "experiments": ["mfcc"],
        "conditions": {
            "white": {"noise": "white", "snr_db": 10},
            "babble": {"noise": "babble", "snr_db": 10},
            "room": {"reverberation_seconds": 0.5},
            "phone": {"band": "telephone"},
        },
    },
}
CORPORA: dict[str, dict[str, Any]] = {
    "csv": {"reader": "csv", "root": "recordings"},
    "audformat": {"reader": "audformat", "root": "audformat", "tables": ["emotion"]},
    "emodb": {"reader": "emodb", "root": "emodb"},
    "crema_d": {"reader": "crema_d", "root": "crema_d", "label": "acted"},
    "iemocap": {"reader": "iemocap", "root": "iemocap"},
    "several": {
        "reader": "several",
        "root": "together",
        "corpora": {
            "first": {"reader": "csv", "root": "recordings"},
            "second": {"reader": "crema_d", "root": "crema_d", "label": "acted"},
            "third": {"reader": "iemocap", "root": "iemocap"},
            "fourth": {"reader": "audformat", "root": "audformat", "tables": ["emotion"]},
        },
    },
    "partly_generated": {
        "reader": "several",
        "root": ".",
        "corpora": {
            "first": {"reader": "csv", "root": "recordings"},
            "second": {"reader": "demo", "root": "results/raw"},
        },
    },
}
"""Corpora in the folder of a study (see small_releases.py)."""

SMALL: dict[str, Any] = {
    "study": "small",
    "corpus": CORPORA["csv"],
    "shards": 2,
    "labels": {"classes": {"active": ["ang", "anger", "angry"], "calm": ["neu", "neutral", "sad"]}},
    "checkpoints": {"untrained": {"untrained": "bert"}},
    "representations": {
        "mfcc": {"kind": "mfcc"},
        "bert": {"kind": "transformers_text", "model": "untrained"},
    },
    "protocol": {"fold_unit": "speakers", "folds": 2},
    "sizes": ["all"],
    "models": {"pooled": {"kind": "pooled"}},
    "experiments": {
        "mfcc": {"representations": ["mfcc"], "model": "pooled"},
        "bert": {"representations": ["bert"], "model": "pooled"},
    },
}
PRETRAINING: dict[str, Any] = {
    "checkpoints": PRETRAINED,
    "representations": ON_PRETRAINED,
    "experiments": EXPERIMENTS_ON_PRETRAINED,
}
"""Sections of the small study that pre-train its checkpoints."""

REPRESENTATIONS = {
    name: experiment["representations"] for name, experiment in STUDY["experiments"].items()
}
MODELS = {name: experiment["model"] for name, experiment in STUDY["experiments"].items()}
CONDITIONS = list(STUDY["robustness"]["conditions"])


def changed(study: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """Return a copy of the study with another value at a path of keys and indices."""
    other = copy.deepcopy(study)
    node: Any = other
    *parents, last = path.rstrip(".").split(".")
    for parent in parents:
        node = node[int(parent)] if isinstance(node, list) else node.setdefault(parent, {})
    if isinstance(node, list):
        node[int(last)] = value
    else:
        node[last] = value
    return other
