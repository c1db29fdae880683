"""Requested run time and memory grow with the amount of work and with each attempt."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from emoscale.config import parse_study
from emoscale.config.resources import (
    BUCKETS,
    bucket_of,
    extraction_seconds,
    has_gpu,
    megabytes,
    minutes,
    reading_seconds,
    training_bucket,
    training_seconds,
)
from emoscale.config.study import Study

STUDY: dict[str, Any] = {
    "study": "tiny",
    "corpus": {"reader": "csv", "root": "recordings"},
    "labels": {"classes": {"active": ["angry"], "calm": ["sad"]}},
    "representations": {
        "mfcc": {"kind": "mfcc"},
        "wav2vec": {"kind": "wav2vec", "checkpoint": "w"},
    },
    "protocol": {"fold_unit": "session", "folds": 2, "repeats": 2},
    "sizes": [8, "8-per-class", "all"],
    "models": {
        "pooled": {"kind": "pooled"},
        "svm": {"kind": "estimator"},
        "late": {"kind": "late_fusion", "branches": [{"kind": "pooled"}, {"kind": "pooled"}]},
    },
    "experiments": {
        "mfcc": {"representations": ["mfcc"], "model": "pooled"},
        "svm": {"representations": ["mfcc"], "model": "svm"},
        "late": {"representations": ["mfcc", "wav2vec"], "model": "late"},
    },
}


def study(**changes: Any) -> Study:
    return parse_study({**STUDY, **changes})


def seconds(experiment: str = "mfcc", size: str = "8", **changes: Any) -> float:
    return training_seconds(study(**changes))[experiment, size]


def test_training_time_is_proportional_to_steps_repeats_and_trials() -> None:
    overhead = seconds(training={"maximum_steps": 1})
    one = seconds(training={"maximum_steps": 1000}) - overhead
    repeats = {**STUDY["protocol"], "repeats": 4}
    twice = seconds(training={"maximum_steps": 1000}, protocol=repeats) - overhead
    assert twice == pytest.approx(2 * one, rel=0.01)
    searched = {**STUDY["experiments"]["mfcc"], "search": {"training.learning_rate": [0.1, 0.01]}}
    both = seconds(training={"maximum_steps": 1000}, experiments={"mfcc": searched})
    assert both - overhead == pytest.approx(2 * one, rel=0.01)


def test_training_time_grows_with_labels_and_branches() -> None:
    assert seconds("svm", "8") < seconds("svm", "8-per-class") < seconds("svm", "all")
    assert seconds("late") > seconds("mfcc")


def test_every_cell_has_an_expected_training_time() -> None:
    parsed = study()
    cells = {(name, size) for name in parsed.experiments for size in parsed.sizes_of(name)}
    assert training_seconds(parsed).keys() == cells


def test_extraction_time_grows_with_the_audio() -> None:
    mfcc, network = (study().representations[name] for name in ("mfcc", "wav2vec"))
    hour = extraction_seconds(network, 3600.0)
    assert extraction_seconds(mfcc, 3600.0) < hour < extraction_seconds(network, 7200.0)
    assert extraction_seconds(network, 3600.0, "cuda") < hour / 5
    assert extraction_seconds(mfcc, 3600.0, "cuda") == extraction_seconds(mfcc, 3600.0)
    assert reading_seconds(3600.0) > reading_seconds(0.0)


@pytest.mark.parametrize(
    ("file", "version", "expected"),
    [
        ("nvidia0", "2.13.0", True),
        ("nvidia0", "2.13.0+cpu", False),
        ("nvidiactl", "2.13.0", False),
    ],
)
def test_a_gpu_is_one_that_torch_can_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, version: str, expected: bool
) -> None:
    (tmp_path / file).touch()
    monkeypatch.setattr("importlib.metadata.version", lambda name: version)
    assert has_gpu(tmp_path) == expected


def test_each_attempt_requests_more() -> None:
    assert 5 <= minutes(0.0) <= 15
    assert [minutes(600.0, attempt) for attempt in (1, 2, 3)] == [50, 100, 200]
    assert [megabytes(2000, attempt) for attempt in (1, 2, 3)] == [2000, 4000, 8000]


def test_grouped_steps_add_little_to_their_time_limits() -> None:
    assert minutes(0.0, in_group=True) < minutes(0.0)
    assert 40 * minutes(15.0, in_group=True) < 10 * 40 * 15 / 60


def test_long_trainings_are_not_grouped() -> None:
    assert bucket_of(BUCKETS[-1] + 1) is None
    assert [bucket_of(bucket) for bucket in BUCKETS] == list(BUCKETS)
    assert bucket_of(0.0) == BUCKETS[0]


def test_trainings_are_grouped_by_their_mean_time() -> None:
    assert training_bucket({("a", "8"): 10.0, ("a", "all"): 100.0}) == 60
    assert training_bucket({("a", "8"): 10.0, ("a", "all"): 1000.0}) is None
