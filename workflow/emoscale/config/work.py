"""How long a step takes, roughly: to pack short ones, and for time limits with room to spare.

The figures are processor time on one core of a workstation, rounded up, from this project's own
measurements (docs/benchmarks.md, and the records of a study in results/<study>/benchmarks). They
decide what is asked for, never what is computed.
"""

from __future__ import annotations

from typing import Any

from emoscale.config.representations import ExternalSettings, PretrainedSettings
from emoscale.config.search import trials_of
from emoscale.config.study import Study

START_SECONDS = 4.0
"""Python and its libraries, for a step that imports torch."""

GPU_TIMES_FASTER = 10.0
"""How many times a network on a GPU is as fast as on one core, at least."""

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


def reading_seconds(audio_seconds: float) -> float:
    """Of reading and measuring so much audio."""
    return START_SECONDS + audio_seconds / 3600 * _READING


def extraction_seconds(settings: Any, audio_seconds: float, device: str = "cpu") -> float:
    """Of one representation (its settings) of so much audio on a device."""
    hours = audio_seconds / 3600
    network = isinstance(settings, (PretrainedSettings, ExternalSettings))
    faster = GPU_TIMES_FASTER if network and device == "cuda" else 1.0
    return 2 * START_SECONDS + hours * _EXTRACTION.get(settings.kind, _OF_ANY_NETWORK) / faster


def training_seconds(study: Study, experiment: str, size: str) -> float:
    """Of all repeats of a cell, without early stopping."""
    model = study.models[study.experiments[experiment].model]
    training = study.training_of(experiment)
    trials = trials_of(model, training, study.experiments[experiment].search)
    faster = GPU_TIMES_FASTER if study.execution.device == "cuda" else 1.0
    labels = _labels(study, size)
    each = [
        _fit_seconds(trial.model, labels)
        if trial.model.kind == "estimator"
        else trial.training.maximum_steps
        * min(trial.training.batch_utterances, labels)
        * _milliseconds(trial.model)
        / 1000
        / faster
        for trial in trials
    ]
    return START_SECONDS + study.protocol.repeats * sum(each)


def _fit_seconds(model: Any, labels: int) -> float:
    return labels * _FIT_SECONDS_A_LABEL


def _milliseconds(model: Any) -> float:
    parts = getattr(model, "parts", ())
    return sum(map(_milliseconds, parts)) if parts else _STEP[model.kind]


def _labels(study: Study, size: str) -> int:
    if size == "all":
        return getattr(study.corpus, "utterances", _MOST_LABELS)
    number, _, each = size.partition("-")
    return int(number) * (len(study.labels.classes) if each else 1)
