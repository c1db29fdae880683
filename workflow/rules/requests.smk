# What steps ask of a cluster, and which of them share a job. Nothing of it is a reason to rerun.
import functools

from emoscale.config.packing import bucket_of
from emoscale.config.requests import megabytes, minutes
from emoscale.config.work import extraction_seconds, reading_seconds, training_seconds

# The profile of a cluster gives the resource `pack`, of which each step that may share a job takes
# one and a job has one: so its steps run one after the other. Elsewhere every step is on its own.
# How many steps of so many seconds share a job is the profile's `group-components`, by kind of pack.
PACKING = "pack" in workflow.global_resources


# Of 16 bits at 16 kHz; compressed files have more in them, which the margin of the limits allows for.
BYTES_A_SECOND = 32_000


def audio_seconds(shard):
    """About how much audio a shard holds."""
    return survey().audio_bytes[int(shard)] / BYTES_A_SECOND


# Of steps that read the whole corpus.
def whole_reading_minutes(wildcards, attempt):
    return minutes(reading_seconds(sum(map(audio_seconds, STUDY.shard_names()))), attempt)


def reading_minutes(wildcards, attempt):
    return limit(reading_seconds(audio_seconds(wildcards.shard)), attempt)


def reading_pack(wildcards):
    return packed("read", "cpu", reading_seconds(audio_seconds(wildcards.shard)))


def limit(seconds, attempt):
    """Minutes of a step that may share a job."""
    shares = PACKING and bucket_of(seconds) is not None
    return minutes(seconds, attempt, shares_a_job=shares)


def packed(rule, device, seconds):
    """The pack of a step; none where packing is off."""
    bucket = bucket_of(seconds) if PACKING else None
    if bucket is None:
        return None
    return f"{rule}_{device}_{bucket}s"


def seconds_of_extraction(wildcards):
    settings = STUDY.representations[wildcards.representation]
    seconds = audio_seconds(wildcards.shard)
    return extraction_seconds(settings, seconds, extraction_device(wildcards))


def extraction_minutes(wildcards, attempt):
    return limit(seconds_of_extraction(wildcards), attempt)


def extraction_megabytes(wildcards, attempt):
    return megabytes(4000 if may_use_gpu(wildcards) else 2000, attempt)


def extraction_pack(wildcards):
    device = extraction_device(wildcards)
    return packed("extract", device, seconds_of_extraction(wildcards))


# Changed test audio: what changes it costs about as much as a cheap representation.
def perturbed_minutes(wildcards, attempt):
    return limit(2 * seconds_of_extraction(wildcards), attempt)


def perturbed_pack(wildcards):
    device = extraction_device(wildcards)
    return packed("extract_perturbed", device, 2 * seconds_of_extraction(wildcards))


def seconds_of_training(wildcards):
    return seconds_of_cell(wildcards.experiment, wildcards.size)


@functools.cache  # asked several times of each fold's job
def seconds_of_cell(experiment, size):
    return training_seconds(STUDY, experiment, size)


def training_minutes(wildcards, attempt):
    return limit(seconds_of_training(wildcards), attempt)


def training_megabytes(wildcards, attempt):
    return megabytes(4000, attempt)


def training_pack(wildcards):
    return packed("train", STUDY.execution.device, seconds_of_training(wildcards))


# Of every condition, with what a cell has learned; starting is most of it.
SECONDS_OF_A_TEST = 16


def robustness_minutes(wildcards, attempt):
    return limit(SECONDS_OF_A_TEST, attempt)


def robustness_pack(wildcards):
    return packed("test_robustness", STUDY.execution.device, SECONDS_OF_A_TEST)


def results_pack(wildcards):
    """Tables, figures and pages are quick: one job makes them all."""
    return "results" if PACKING else None
