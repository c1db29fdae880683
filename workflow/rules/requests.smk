# What steps ask of a cluster, and which of them share a job. Nothing of it is a reason to rerun.
from emoscale.config.resources import (
    TRAINING_ENVIRONMENT,
    extraction_seconds,
    megabytes,
    minutes,
    reading_seconds,
    training_bucket,
    training_seconds,
)

# Groups of steps that share a job of a cluster; how many of each do is `group-components` of
# profiles/slurm. Where Snakemake runs the steps itself they mean nothing. What of a group is connected
# must be a chain: the job asks for one core, and limits of the profile do not reach into it.
READING_GROUP = "read"
TEXTS_GROUP = "read_texts"
EXTRACTION_GROUP = "extract_{representation}"
PERTURBED_GROUP = "extract_perturbed_{representation}"
ROBUSTNESS_GROUP = "test_robustness"

# Expected seconds of each cell: experiment and training size.
CELL_SECONDS = training_seconds(STUDY)
TRAINING_BUCKET = training_bucket(CELL_SECONDS)
TRAINING_GROUP = f"train_{TRAINING_BUCKET}s" if TRAINING_BUCKET else None

# Of 16 bits at 16 kHz; compressed files have more in them, which the margin of the limits allows for.
BYTES_A_SECOND = 32_000
# Of every condition, with what a cell has learned; starting is most of it.
SECONDS_OF_A_TEST = 16


def audio_seconds(shard):
    """About how much audio a shard holds."""
    return survey().audio_bytes[int(shard)] / BYTES_A_SECOND


def whole_reading_minutes(wildcards, attempt):
    """Of steps that read the whole corpus."""
    return minutes(reading_seconds(sum(map(audio_seconds, STUDY.shard_names()))), attempt)


def reading_minutes(wildcards, attempt):
    seconds = reading_seconds(audio_seconds(wildcards.shard))
    return minutes(seconds, attempt, shares_a_job=True)


def seconds_of_extraction(wildcards):
    settings = STUDY.representations[wildcards.representation]
    seconds = audio_seconds(wildcards.shard)
    return extraction_seconds(settings, seconds, extraction_device(wildcards))


def extraction_minutes(wildcards, attempt):
    return minutes(seconds_of_extraction(wildcards), attempt, shares_a_job=True)


def extraction_megabytes(wildcards, attempt):
    return megabytes(4000 if may_use_gpu(wildcards) else 2000, attempt)


def perturbed_minutes(wildcards, attempt):
    """Of changed test audio: what changes it costs about as much as a cheap representation."""
    return minutes(2 * seconds_of_extraction(wildcards), attempt, shares_a_job=True)


def training_minutes(wildcards, attempt):
    seconds = CELL_SECONDS[wildcards.experiment, wildcards.size]
    return minutes(seconds, attempt, shares_a_job=TRAINING_BUCKET is not None)


def training_megabytes(wildcards, attempt):
    return megabytes(4000, attempt)


def robustness_minutes(wildcards, attempt):
    return minutes(SECONDS_OF_A_TEST, attempt, shares_a_job=True)
