"""Which experiments and training sizes are tested on perturbed audio."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emoscale.config import Study, parse_study
from emoscale.runtime.errors import ConfigurationError
from tests.config.test_study import BASE


def study_with(robustness: Any, **others: Any) -> Study:
    representations = {
        **BASE["representations"],
        "text": {"kind": "transformers_text", "model": "bert"},
        "original": {"kind": "wav2vec", "checkpoint": "w.pt", "backend": "fairseq"},
    }
    experiments = {
        **BASE["experiments"],
        "words": {"representations": ["text"], "model": "mean"},
        "both": {"representations": ["logmel", "text"], "model": "late", "sizes": [10]},
    }
    late = {"kind": "late_fusion", "branches": [{"kind": "pooled"}, {"kind": "pooled"}]}
    return parse_study(
        {
            **BASE,
            "representations": representations,
            "execution": {"fairseq_python": "python3.10"},
            "models": {**BASE["models"], "late": late},
            "experiments": {**experiments, **others},
            "robustness": robustness,
        }
    )


def test_the_default_tests_no_experiment() -> None:
    assert parse_study(BASE).robustness_sizes() == {}


def test_all_selects_audio_experiments_at_their_largest_size() -> None:
    study = study_with({"experiments": "all"})
    assert study.robustness_sizes() == {"mfcc": ["all"], "both": ["10"]}
    assert study.audio_of("both") == ["logmel"]
    assert set(study.robustness.conditions) >= {"white_20", "babble_0", "room_800", "telephone"}
    assert json.loads(study.condition_settings("babble_10")) == {
        "noise": "babble",
        "snr_db": 10.0,
        "talkers": 5,
    }


def test_sizes_per_class_are_compared_by_their_total() -> None:
    config = {**BASE, "sizes": [500, "200-per-class", 30], "robustness": {"experiments": ["mfcc"]}}
    assert parse_study(config).robustness_sizes() == {"mfcc": ["500"]}  # of two classes
    config["sizes"] = ["300-per-class", 500]
    assert parse_study(config).robustness_sizes() == {"mfcc": ["300-per-class"]}


def test_sizes_may_be_listed() -> None:
    study = study_with({"experiments": ["mfcc"], "sizes": [10, "all"]})
    assert study.robustness_sizes() == {"mfcc": ["10", "all"]}


@pytest.mark.parametrize(
    ("robustness", "message"),
    [
        ({"experiments": ["mfc"]}, "robustness: mfc is not listed under experiments"),
        (
            {"experiments": ["words"]},
            "words reads text only, which perturbed audio does not change",
        ),
        (
            {"experiments": ["both"], "sizes": ["all"]},
            r"both is not trained at the size all \(available: 10\)",
        ),
        (
            {"conditions": {"quiet": {"loudness": 3}}},
            r"conditions\.quiet: needs noise \(white or babble, with snr_db\)",
        ),
        ({"conditions": {"pink": {"noise": "pink", "snr_db": 3}}}, r"conditions\.pink: "),
        ({"conditions": {"white": {"noise": "white"}}}, "snr_db: is missing"),
        (
            {"conditions": {"white": {"noise": "white", "snr_db": 3, "talkers": 2}}},
            "unknown key talkers",
        ),
        (
            {"conditions": {"clean": {"band": "telephone"}}},
            "clean is the name of the unperturbed audio; rename the condition",
        ),
        ({"conditions": {"a/b": {"band": "telephone"}}}, "should match pattern"),
        ({"conditions": {"room": {"reverberation_seconds": 0}}}, "greater than or equal to 0.05"),
        ({"conditions": {}}, "at least 1 item"),
    ],
)
def test_mistakes_are_reported(robustness: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        study_with(robustness)
