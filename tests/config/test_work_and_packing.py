"""What steps ask for grows with their work and attempt, and short ones share a job."""

from __future__ import annotations

from typing import Any

import pytest

from emoscale.config import parse_study
from emoscale.config.packing import BUCKETS, bucket_of, steps_a_job
from emoscale.config.requests import LEAST_MINUTES, megabytes, minutes
from emoscale.config.study import Study
from emoscale.config.work import extraction_seconds, reading_seconds, training_seconds

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
        "late": {"kind": "late_fusion", "parts": [{"kind": "pooled"}, {"kind": "pooled"}]},
    },
    "experiments": {
        "mfcc": {"representations": ["mfcc"], "model": "pooled"},
        "svm": {"representations": ["mfcc"], "model": "svm"},
        "late": {"representations": ["mfcc", "wav2vec"], "model": "late"},
    },
}


def study(**changes: Any) -> Study:
    return parse_study({**STUDY, **changes})


def test_a_training_is_as_long_as_its_steps_repeats_and_trials() -> None:
    start = training_seconds(study(training={"maximum_steps": 1}), "mfcc", "8")
    one = training_seconds(study(training={"maximum_steps": 1000}), "mfcc", "8") - start
    protocol = {**STUDY["protocol"], "repeats": 4}
    longer = {"training": {"maximum_steps": 1000}, "protocol": protocol}
    twice = training_seconds(study(**longer), "mfcc", "8") - start
    assert twice == pytest.approx(2 * one, rel=0.01)
    searched = {**STUDY["experiments"]["mfcc"], "search": {"training.learning_rate": [0.1, 0.01]}}
    both = training_seconds(
        study(training={"maximum_steps": 1000}, experiments={"mfcc": searched}), "mfcc", "8"
    )
    assert both - start == pytest.approx(2 * one, rel=0.01)


def test_labels_and_parts_count() -> None:
    found = study()
    assert training_seconds(found, "svm", "8") < training_seconds(found, "svm", "8-per-class")
    assert training_seconds(found, "svm", "8-per-class") < training_seconds(found, "svm", "all")
    assert training_seconds(found, "late", "8") > training_seconds(found, "mfcc", "8")


def test_extraction_is_as_long_as_the_audio() -> None:
    mfcc, network = (study().representations[name] for name in ("mfcc", "wav2vec"))
    hour = extraction_seconds(network, 3600.0)
    assert extraction_seconds(mfcc, 3600.0) < hour < extraction_seconds(network, 7200.0)
    assert extraction_seconds(network, 3600.0, "cuda") < hour / 5
    assert extraction_seconds(mfcc, 3600.0, "cuda") == extraction_seconds(mfcc, 3600.0)
    assert reading_seconds(3600.0) > reading_seconds(0.0)


def test_more_is_asked_for_at_every_attempt() -> None:
    assert minutes(0.0) == LEAST_MINUTES
    assert [minutes(600.0, attempt) for attempt in (1, 2, 3)] == [50, 100, 200]
    assert [megabytes(2000, attempt) for attempt in (1, 2, 3)] == [2000, 4000, 8000]


@pytest.mark.parametrize("target", [1.0, 10.0, 60.0])
def test_a_pack_fills_its_job_and_not_more(target: float) -> None:
    counts = steps_a_job(target)
    for bucket in BUCKETS:
        count = counts[f"pack_{bucket}s"]
        assert count == 1 or count * bucket <= target * 60 < (count + 1) * bucket


def test_long_steps_have_a_job_of_their_own() -> None:
    assert bucket_of(BUCKETS[-1] + 1) is None
    assert [bucket_of(bucket) for bucket in BUCKETS] == list(BUCKETS)
    assert bucket_of(0.0) == BUCKETS[0]
