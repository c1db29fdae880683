"""Resources of cluster jobs: time limits from the expected work, memory, and groups of steps.

Expected seconds are CPU time on one core of a workstation, rounded up, from measurements of this
project (docs/explanation/benchmarks.md). They decide time limits and which steps share a job, never
what is computed.
"""

from __future__ import annotations

import importlib.metadata
import math
from pathlib import Path
from statistics import fmean
from typing import Any

from emoscale.config.corpus import DemoCorpus
from emoscale.config.pretraining import PretrainingSettings
from emoscale.config.representations import ExternalSettings, PretrainedSettings
from emoscale.config.robustness import labels_of_size
from emoscale.config.search import Trial, trials_of
from emoscale.config.study import Study

TRAINING_ENVIRONMENT = {
    "GLIBC_TUNABLES": "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=2147483647"
}
"""Makes glibc keep freed memory: otherwise it returns each large array to the system, which clears
its pages before the next use (docs/explanation/benchmarks.md)."""

START_SECONDS = 4.0
"""Start of Python and its libraries in a step that imports torch."""

GPU_TIMES_FASTER = 10.0
"""Lower bound on the speed of a network on a GPU, relative to one core."""

BUCKETS = (15, 60, 240)
"""Upper bounds of the groups of steps that share jobs, seconds; longer steps have a job each."""

# Seconds per hour of audio, or of its transcripts.
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
_EXTRACTION_OF_OTHER_KINDS = 2400.0
_READING = 20.0

# Milliseconds per utterance of 4 s in a training step, with 512 values every 10 ms.
_STEP = {
    "pooled": 3.0,
    "convolutional": 6.0,
    "recurrent": 25.0,
    "waveform": 10.0,
    "aligned_fusion": 30.0,
    "early_fusion": 3.0,
}
# Floating-point operations per second of a pre-training in one process; that of a GPU is assumed.
_PRETRAINING_CPU_OPERATIONS = 4e10
_PRETRAINING_GPU_OPERATIONS = 4e12

_PRETRAINING_MEGABYTES_PER_SECOND = 80.0  # of speech in a part of the batch, with 512 channels

_FIT_SECONDS_PER_LABEL = 0.01
_MAXIMUM_LABELS = 10_000  # where the size is `all`

_START_MINUTES = 10  # of a job: a busy file system, a cold cache
_START_MINUTES_IN_GROUP = 1  # limits of the steps of a job are added
_MARGIN = 4  # a slower machine, a neighbour on the node
_MAXIMUM_MINUTES = 7 * 24 * 60


def minutes(seconds: float, attempt: int = 1, *, in_group: bool = False) -> int:
    """Return the time limit of a step, doubled at every further attempt.

    Parameters
    ----------
    seconds : float
        Expected seconds.
    attempt : int
        From 1.
    in_group : bool
        Whether the step shares a job with others.

    Returns
    -------
    int
        Minutes.

    Examples
    --------
    >>> minutes(5), minutes(3600), minutes(3600, attempt=2), minutes(5, in_group=True)
    (11, 250, 500, 2)
    """
    start = _START_MINUTES_IN_GROUP if in_group else _START_MINUTES
    limit = start + math.ceil(seconds * _MARGIN / 60)
    return min(limit * (1 << (attempt - 1)), _MAXIMUM_MINUTES)


def megabytes(least: int, attempt: int = 1) -> int:
    """Return the memory of a step, doubled at every further attempt.

    Parameters
    ----------
    least : int
        Megabytes of the first attempt.
    attempt : int
        From 1.

    Returns
    -------
    int
        Megabytes.

    Examples
    --------
    >>> megabytes(4000), megabytes(4000, attempt=3)
    (4000, 16000)
    """
    return least * (1 << (attempt - 1))


def bucket_of(seconds: float) -> int | None:
    """Return the bucket of a step, which decides how many steps share a job.

    Parameters
    ----------
    seconds : float
        Expected seconds.

    Returns
    -------
    int or None
        One of `BUCKETS`; None where the step is too long to share a job.

    Examples
    --------
    >>> bucket_of(13.0), bucket_of(1000.0)
    (15, None)
    """
    return next((bucket for bucket in BUCKETS if seconds <= bucket), None)


def training_bucket(cells: dict[tuple[str, str], float]) -> int | None:
    """Return the bucket of the trainings of a study, by their mean.

    Parameters
    ----------
    cells : dict
        Expected seconds of each cell.

    Returns
    -------
    int or None
        See `bucket_of`.
    """
    return bucket_of(fmean(cells.values())) if cells else None


def reading_seconds(audio_seconds: float) -> float:
    """Return the expected time of reading and measuring audio.

    Parameters
    ----------
    audio_seconds : float
        Duration of the audio.

    Returns
    -------
    float
        Seconds.
    """
    return START_SECONDS + audio_seconds / 3600 * _READING


def extraction_seconds(settings: Any, audio_seconds: float, device: str = "cpu") -> float:
    """Return the expected time of extracting one representation.

    Parameters
    ----------
    settings : RepresentationSettings
        Its settings.
    audio_seconds : float
        Duration of the audio.
    device : str
        cpu or cuda.

    Returns
    -------
    float
        Seconds.
    """
    hours = audio_seconds / 3600
    network = isinstance(settings, (PretrainedSettings, ExternalSettings))
    faster = GPU_TIMES_FASTER if network and device == "cuda" else 1.0
    return (
        2 * START_SECONDS
        + hours * _EXTRACTION.get(settings.kind, _EXTRACTION_OF_OTHER_KINDS) / faster
    )


def pretraining_seconds(settings: PretrainingSettings, device: str = "cpu") -> float:
    """Return the expected time of a pre-training in one process.

    Parameters
    ----------
    settings : PretrainingSettings
        Its settings.
    device : str
        cpu or cuda.

    Returns
    -------
    float
        Seconds.
    """
    speech = settings.steps * settings.batch_seconds
    rate = _PRETRAINING_GPU_OPERATIONS if device == "cuda" else _PRETRAINING_CPU_OPERATIONS
    return START_SECONDS + speech * settings.operations_per_second() / rate


def pretraining_memory(settings: PretrainingSettings) -> int:
    """Return the expected memory of a process of a pre-training.

    Parameters
    ----------
    settings : PretrainingSettings
        Its settings.

    Returns
    -------
    int
        Megabytes.
    """
    return round(2000 + _PRETRAINING_MEGABYTES_PER_SECOND * settings.micro_batch_seconds)


def has_gpu(devices: Path = Path("/dev")) -> bool:
    """Return whether steps of this machine compute on a GPU with `device: auto`.

    torch itself would say so, but takes seconds to import, each time that Snakemake starts.

    Parameters
    ----------
    devices : Path
        Folder of the device files.

    Returns
    -------
    bool
        True if there is an NVIDIA GPU and torch is not a build for the CPU.
    """
    is_for_cpu = importlib.metadata.version("torch").endswith("+cpu")
    return not is_for_cpu and any(devices.glob("nvidia[0-9]*"))


def training_seconds(study: Study) -> dict[tuple[str, str], float]:
    """Return the expected time of each cell's trainings, without early stopping.

    Parameters
    ----------
    study : Study
        The study.

    Returns
    -------
    dict
        Seconds of all repeats by experiment and training size.
    """
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
        return labels * _FIT_SECONDS_PER_LABEL
    faster = GPU_TIMES_FASTER if study.execution.device == "cuda" else 1.0
    utterances = trial.training.maximum_steps * min(trial.training.batch_size, labels)
    return utterances * _milliseconds(trial.model) / 1000 / faster


def _milliseconds(model: Any) -> float:
    branches = getattr(model, "branches", ())
    return sum(map(_milliseconds, branches)) if branches else _STEP[model.kind]


def _labels(study: Study, size: str) -> float:
    corpus, available = study.corpus, _MAXIMUM_LABELS
    if isinstance(corpus, DemoCorpus):
        available = corpus.sessions * corpus.utterances_per_session
    return min(labels_of_size(size, len(study.labels.classes)), available)
