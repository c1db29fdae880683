"""Settings of pre-training: mistakes, and what each step depends on."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from emoscale.config import parse_study
from emoscale.runtime.errors import ConfigurationError

BASE: dict[str, Any] = {
    "study": "small",
    "corpus": {"reader": "emodb", "root": "data/emodb"},
    "labels": {"classes": {"anger": ["anger"], "calm": ["neutral", "boredom"]}},
    "checkpoints": {
        "first": {
            "pretrain": "wav2vec",
            "speech": {"reader": "folder", "root": "speech"},
            "steps": 1000,
        },
        "second": {
            "pretrain": "wav2vec",
            "speech": {"reader": "folder", "root": "more"},
            "steps": 1000,
            "continue_from": "first",
        },
        "untrained": {"pretrain": "wav2vec", "steps": 0},
    },
    "representations": {
        name: {"kind": "wav2vec", "checkpoint": name} for name in ("first", "second", "untrained")
    },
    "protocol": {"fold_unit": "speakers", "folds": 5},
    "sizes": ["all"],
    "models": {"mean": {"kind": "pooled"}},
    "experiments": {
        name: {"representations": [name], "model": "mean"}
        for name in ("first", "second", "untrained")
    },
}


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return a copy of the study with another value at a path of keys."""
    config = copy.deepcopy(BASE)
    node = config
    *parents, last = path.split(".")
    for parent in parents:
        node = node[parent]
    node[last] = value
    return config


def test_a_checkpoint_has_the_speech_of_those_that_it_continues_from() -> None:
    study = parse_study(BASE)
    assert study.speech_of("first") == ["first"]
    assert study.speech_of("second") == ["first", "second"]
    assert study.speech_of("untrained") == []


def test_the_twin_differs_in_steps_only() -> None:
    study = parse_study(BASE)
    assert study.untrained_twins() == {"first": "untrained", "second": "untrained"}


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (
            "checkpoints.first.continue_from",
            "second",
            r"checkpoints\.first continues from itself \(first from second from first\); remove "
            "one continue_from",
        ),
        (
            "checkpoints.first.continue_from",
            "first",
            r"checkpoints\.first continues from itself \(first from first\); remove one "
            "continue_from",
        ),
        (
            "checkpoints.first.speech",
            {"reader": "demo_speech", "root": "data/speech"},
            r"checkpoints\.first\.speech\.root is data/speech, and its content would be replaced "
            "by generated speech; name a folder inside results",
        ),
        (
            "checkpoints.first.speech",
            {"reader": "demo_speech", "root": "results/small/checkpoints/speech"},
            "which contains other files of the study; name another folder",
        ),
        (
            "representations.first",
            {"kind": "transformers_audio", "model": "first"},
            r"representations\.first is of the kind transformers_audio, and checkpoints\.first is "
            "pre-trained for the kind wav2vec; correct one of them",
        ),
        ("checkpoints.first.speech", None, "steps above 0 need speech"),
        ("checkpoints.first.speech.root", None, r"checkpoints\.first\.speech\.root"),
        (
            "checkpoints.first.speech.speaker_pattern",
            "^a",
            "has no group; put the speaker in paren",
        ),
        ("checkpoints.first.speech.speaker_pattern", "(", "is not a regular expression"),
        ("checkpoints.first.steps", 500, r"warmup_steps \(500\) is not below steps \(500\)"),
        ("checkpoints.first.pretrain", "hubert", "wav2vec"),
        ("checkpoints.first.architecture", {"num_negatives": 0}, "are both 0; raise one"),
        (
            "checkpoints.first.architecture",
            {"conv_aggregator_layers": [[512, 3, 2]]},
            "a stride other than 1",
        ),
        (
            "checkpoints.first.architecture",
            "huge",
            r"checkpoints\.first\.architecture: Input should be 'small' or 'wav2vec_large'",
        ),
        (
            "checkpoints.first.speech",
            {
                "reader": "several",
                "root": "all",
                "corpora": {"a": {"reader": "csv"}, "b": {"reader": "emodb", "root": "b"}},
            },
            r"checkpoints\.first\.speech\.corpora\.a\.root: is missing",
        ),
        ("checkpoints.first.held_out", 0.0, "greater than 0"),
        ("checkpoints.first.learning_rat", 0.1, "unknown key"),
    ],
)
def test_mistakes_are_reported(path: str, value: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        parse_study(changed(path, value))
    assert "\n" not in str(caught.value)
