# Resources of the steps on a cluster, and the groups that share jobs. They are no reason to rerun.
from emoscale.config.resources import (
    TRAINING_ENVIRONMENT,
    extraction_seconds,
    has_gpu,
    megabytes,
    minutes,
    pretraining_memory,
    pretraining_seconds,
    reading_seconds,
    training_bucket,
    training_seconds,
)

# Groups of steps that share a cluster job; their number is `group-components` of profiles/slurm. They
# have no effect where Snakemake runs the steps itself. Connected steps of a group must form a chain:
# the job requests one core, and the profile's limits do not apply inside it.
READING_GROUP = "read"
TEXTS_GROUP = "read_texts"
EXTRACTION_GROUP = "extract_{representation}"
PERTURBED_GROUP = "extract_perturbed_{representation}"
ROBUSTNESS_GROUP = "test_robustness"

# Expected seconds of each cell: experiment and training size.
CELL_SECONDS = training_seconds(STUDY)
TRAINING_BUCKET = training_bucket(CELL_SECONDS)
TRAINING_GROUP = f"train_{TRAINING_BUCKET}s" if TRAINING_BUCKET else None

# Test of a cell under all conditions; most of it is the start of the process.
ROBUSTNESS_SECONDS = 16


# Devices that count as a GPU.
GPU_DEVICES = ("cuda", "auto") if has_gpu() else ("cuda",)


def extraction_gpus(wildcards):
    return int(extraction_device(wildcards) in GPU_DEVICES)


def training_gpus(wildcards):
    return int(training_device(wildcards) in GPU_DEVICES)


def audio_seconds(shard):
    """Return the approximate duration of a shard's audio."""
    return corpus_digests().audio_seconds[int(shard)]


def corpus_minutes(wildcards, attempt):
    """Return the time limit of steps that read the whole corpus."""
    return minutes(reading_seconds(sum(map(audio_seconds, STUDY.shard_names()))), attempt)


def reading_minutes(wildcards, attempt):
    seconds = reading_seconds(audio_seconds(wildcards.shard))
    return minutes(seconds, attempt, in_group=True)


def expected_extraction_seconds(wildcards):
    settings = STUDY.representations[wildcards.representation]
    seconds = audio_seconds(wildcards.shard)
    return extraction_seconds(settings, seconds, extraction_device(wildcards))


def extraction_minutes(wildcards, attempt):
    return minutes(expected_extraction_seconds(wildcards), attempt, in_group=True)


def extraction_megabytes(wildcards, attempt):
    return megabytes(4000 if may_use_gpu(wildcards) else 2000, attempt)


def perturbed_minutes(wildcards, attempt):
    """Return the expected time of extracting perturbed audio."""
    return minutes(2 * expected_extraction_seconds(wildcards), attempt, in_group=True)


def training_minutes(wildcards, attempt):
    seconds = CELL_SECONDS[wildcards.experiment, wildcards.size]
    return minutes(seconds, attempt, in_group=TRAINING_BUCKET is not None)


def training_megabytes(wildcards, attempt):
    return megabytes(4000, attempt)


def tables_megabytes(wildcards, attempt):
    """Return the memory of steps that hold a row per training; 50,000 took 1.4 GB."""
    cells = sum(len(STUDY.sizes_of(name)) for name in STUDY.experiments) * len(STUDY.fold_names())
    return megabytes(max(2000, 1000 + cells * STUDY.protocol.repeats // 50), attempt)


def robustness_minutes(wildcards, attempt):
    return minutes(ROBUSTNESS_SECONDS, attempt, in_group=True)


def pretraining_cores(wildcards):
    """Return the cores of a pre-training; on a GPU, each process decodes in four threads."""
    return pretraining_processes(wildcards) * (4 if pretraining_gpus(wildcards) else 1)


def pretraining_gpus(wildcards):
    on_gpu = pretraining_device(wildcards) in GPU_DEVICES
    return pretraining_processes(wildcards) if on_gpu else 0


def pretraining_minutes(wildcards):
    """Return the time limit, of each attempt: a further one continues from the saved state."""
    settings = STUDY.pretraining_of(wildcards.checkpoint)
    seconds = pretraining_seconds(settings, pretraining_device(wildcards))
    return minutes(seconds / pretraining_processes(wildcards))


def pretraining_megabytes(wildcards, attempt):
    settings = STUDY.pretraining_of(wildcards.checkpoint)
    return megabytes(pretraining_processes(wildcards) * pretraining_memory(settings), attempt)
