"""Resources that steps ask a cluster for: time by the work that is expected, memory, shared jobs.

Expected seconds are processor time on one core of a workstation, rounded up, from this project's
own measurements (docs/benchmarks.md, and the records of a study in results/<study>/benchmarks).
They decide what is asked for and which steps share a job, never what is computed.
"""

from __future__ import annotations

import math
from statistics import fmean
from typing import Any

from emoscale.config.representations import ExternalSettings, PretrainedSettings
from emoscale.config.robustness import labels_of_size
from emoscale.config.search import Trial, trials_of
from emoscale.config.study import Study

TRAINING_ENVIRONMENT = {
    "GLIBC_TUNABLES": "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=2147483647"
}
"""Lets a C library that is glibc keep what a training step frees: otherwise it returns each large
array to the system, which clears its pages for the next one (docs/benchmarks.md)."""

START_SECONDS = 4.0
"""Python and its libraries, for a step that imports torch."""

GPU_TIMES_FASTER = 10.0
"""How many times a network on a GPU is as fast as on one core, at least."""

BUCKETS = (15, 60, 240)
"""Seconds; trainings that take longer on average have a job each."""

# Seconds of an hour of audio, or of its text.
_EXTRACTION = {
    "mfcc": 30.0,
    "logmel": 30.0,
    "opensmile": 90.0,
    "waveform": 10.0,
    "wav2vec": 900.0,
    "vq_wav2vec": 900.0,
    "code_roberta": 1800.0,
    "transformers_audio": 2400.0,
    "transformers_text": 200.0,
}
_OF_ANY_NETWORK = 2400.0
_READING = 20.0

# Milliseconds that an utterance of 4 s takes in a training step, with 512 values every 10 ms.
_STEP = {
    "pooled": 3.0,
    "convolutional": 6.0,
    "recurrent": 25.0,
    "waveform": 10.0,
    "aligned_fusion": 30.0,
    "early_fusion": 3.0,
}
_FIT_SECONDS_A_LABEL = 0.01
_MOST_LABELS = 10_000  # where the size is `all`

_START_MINUTES = 10  # of a job: a busy file system, a cold cache
_START_MINUTES_IN_A_PACK = 1  # limits of the steps of a job are added
_MARGIN = 4  # a slower machine, a neighbour on the node
_MOST_MINUTES = 7 * 24 * 60


def minutes(seconds: float, attempt: int = 1, *, shares_a_job: bool = False) -> int:
    """Time limit of a step that is expected to take so long; doubled at every further attempt.

    >>> minutes(5), minutes(3600), minutes(3600, attempt=2), minutes(5, shares_a_job=True)
    (11, 250, 500, 2)
    """
    start = _START_MINUTES_IN_A_PACK if shares_a_job else _START_MINUTES
    wanted = start + math.ceil(seconds * _MARGIN / 60)
    return min(wanted * (1 << (attempt - 1)), _MOST_MINUTES)


def megabytes(least: int, attempt: int = 1) -> int:
    """Memory of a step; doubled at every further attempt.

    >>> megabytes(4000), megabytes(4000, attempt=3)
    (4000, 16000)
    """
    return least * (1 << (attempt - 1))


def bucket_of(seconds: float) -> int | None:
    """The bucket of a step that is expected to take so long; None: too long to share a job.

    >>> bucket_of(13.0), bucket_of(1000.0)
    (15, None)
    """
    return next((bucket for bucket in BUCKETS if seconds <= bucket), None)


def training_bucket(cells: dict[tuple[str, str], float]) -> int | None:
    """The bucket of a study's trainings, by their mean: a job holds long and short ones."""
    return bucket_of(fmean(cells.values())) if cells else None


def reading_seconds(audio_seconds: float) -> float:
    """Of reading and measuring so much audio."""
    return START_SECONDS + audio_seconds / 3600 * _READING


def extraction_seconds(settings: Any, audio_seconds: float, device: str = "cpu") -> float:
    """Of one representation (its settings) of so much audio on a device."""
    hours = audio_seconds / 3600
    network = isinstance(settings, (PretrainedSettings, ExternalSettings))
    faster = GPU_TIMES_FASTER if network and device == "cuda" else 1.0
    return 2 * START_SECONDS + hours * _EXTRACTION.get(settings.kind, _OF_ANY_NETWORK) / faster


def training_seconds(study: Study) -> dict[tuple[str, str], float]:
    """Of all repeats of each cell (experiment and training size), without early stopping."""
    seconds = {}
    for name, experiment in study.experiments.items():
        training = study.training_of(name)
        trials = trials_of(study.models[experiment.model], training, experiment.search)
        for size in study.sizes_of(name):
            each = sum(_trial_seconds(study, trial, _labels(study, size)) for trial in trials)
            seconds[name, size] = START_SECONDS + study.protocol.repeats * each
    return seconds


def _trial_seconds(study: Study, trial: Trial, labels: float) -> float:
    if trial.model.kind == "estimator":
        return labels * _FIT_SECONDS_A_LABEL
    faster = GPU_TIMES_FASTER if study.execution.device == "cuda" else 1.0
    utterances = trial.training.maximum_steps * min(trial.training.batch_size, labels)
    return utterances * _milliseconds(trial.model) / 1000 / faster


def _milliseconds(model: Any) -> float:
    branches = getattr(model, "branches", ())
    return sum(map(_milliseconds, branches)) if branches else _STEP[model.kind]


def _labels(study: Study, size: str) -> float:
    most = getattr(study.corpus, "utterances", _MOST_LABELS)
    return min(labels_of_size(size, len(study.labels.classes)), most)
