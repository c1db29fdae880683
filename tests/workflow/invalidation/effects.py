"""Sets of jobs that a change reruns."""

from __future__ import annotations

from tests.workflow.invalidation.studies import (
    CONDITIONS,
    MODELS,
    PRETRAINED,
    REPRESENTATIONS,
    STUDY,
)

Job = tuple[str, str]
"""A rule and its subject: a representation, experiment, checkpoint, condition, or nothing ('')."""


def jobs_of(*rules: str, subject: str = "") -> frozenset[Job]:
    """Return the jobs of rules for one subject."""
    return frozenset((rule, subject) for rule in rules)


# Every set contains the jobs that follow, so the last steps come first.
REPORT = jobs_of("write_report")
EVIDENCE = jobs_of("measure_efficiency", "draw_figures") | REPORT
TABLES = EVIDENCE | jobs_of("make_tables", "compare_experiments", "slice_scores", "measure_ceiling")
CORPUS_NAME = TABLES | jobs_of("audit_corpus", "check_protocol")
ROBUSTNESS = jobs_of("score_robustness", "draw_figures") | REPORT


def training_jobs(*experiments: str) -> frozenset[Job]:
    """Return the jobs of training these experiments and of testing their robustness, if any."""
    jobs = TABLES
    for name in experiments:
        jobs |= jobs_of("train", subject=name)
        if name == "mfcc":
            jobs |= jobs_of("test_robustness", subject=name) | ROBUSTNESS
    return jobs


def condition_jobs(*conditions: str) -> frozenset[Job]:
    """Return the jobs of extraction and testing under these conditions."""
    jobs = jobs_of("test_robustness", subject="mfcc") | ROBUSTNESS
    for condition in conditions:
        jobs |= jobs_of("extract_perturbed", "index_perturbed", subject=condition)
    return jobs


def extraction_jobs(representation: str) -> frozenset[Job]:
    """Return the jobs of extracting a representation and training the experiments that use it."""
    experiments = [name for name, used in REPRESENTATIONS.items() if _uses(used, representation)]
    jobs = jobs_of("extract_features", "index_features", subject=representation)
    jobs |= training_jobs(*experiments)
    return jobs | condition_jobs(*CONDITIONS) if representation == "mfcc" else jobs


def model_jobs(model: str) -> frozenset[Job]:
    """Return the jobs of training the experiments with this model."""
    return training_jobs(*(name for name, other in MODELS.items() if other == model))


def pretraining_jobs(*checkpoints: str) -> frozenset[Job]:
    """Return the jobs of pre-training, and of the experiments on these checkpoints."""
    jobs = jobs_of("collect_pretraining")
    for name in checkpoints:
        jobs |= jobs_of("pretrain", subject=name) | extraction_jobs(name)
    return jobs


def speech_jobs(changed: str, *later: str) -> frozenset[Job]:
    """Return the jobs after a change of a checkpoint's speech; others continue from it."""
    jobs = jobs_of("read_speech", subject=changed) | pretraining_jobs(changed, *later)
    return jobs | comparison_jobs(changed, *later)


def comparison_jobs(*checkpoints: str) -> frozenset[Job]:
    """Return the jobs of looking for the study's test recordings in unlabelled speech."""
    return frozenset(("compare_speech", name) for name in checkpoints)


def _uses(references: list[str], representation: str) -> bool:
    return representation in [reference.partition("/")[0] for reference in references]


NOTHING: frozenset[Job] = frozenset()
ALL_TRAINING = training_jobs(*REPRESENTATIONS)
SPEAKER_STATISTICS = NOTHING
for _name in STUDY["representations"]:
    SPEAKER_STATISTICS |= jobs_of("measure_speakers", subject=_name)
for _name in CONDITIONS:
    SPEAKER_STATISTICS |= jobs_of("measure_perturbed_speakers", subject=_name)
PROTOCOL = jobs_of("make_fold", "check_protocol") | ALL_TRAINING | comparison_jobs(*PRETRAINED)
LABELS = jobs_of("label_corpus", "audit_corpus") | PROTOCOL
METADATA = jobs_of("read_corpus") | LABELS
SHARDS = jobs_of("read_shard", "gather_texts", "read_texts", "measure_shard", "find_duplicates")
READING = METADATA | SHARDS | jobs_of("list_speakers")
for _name in STUDY["representations"]:
    READING |= extraction_jobs(_name)
CHECKPOINTS = jobs_of("collect_pretraining")
for _name in ("file", "hub", "untrained"):
    CHECKPOINTS |= jobs_of("fetch_checkpoint", subject=_name)
for _name in PRETRAINED:
    CHECKPOINTS |= jobs_of("read_speech", "pretrain", subject=_name)
EVERYTHING = READING | CHECKPOINTS
AUDIO = READING
for _name in PRETRAINED:
    AUDIO |= speech_jobs(_name)

# The small study, whose corpus is not generated.
SMALL_PROTOCOL = (
    TABLES
    | jobs_of("make_fold", "check_protocol")
    | jobs_of("train", subject="mfcc")
    | jobs_of("train", subject="bert")
)
SMALL_METADATA = jobs_of("read_corpus", "label_corpus", "audit_corpus") | SMALL_PROTOCOL
SMALL_TEXTS = (
    TABLES
    | jobs_of("gather_texts", "read_texts", "audit_corpus", "check_protocol")
    | jobs_of("extract_features", "index_features", "train", subject="bert")
)
SMALL_READING = SMALL_METADATA | SHARDS
for _name in ("mfcc", "bert"):
    SMALL_READING |= jobs_of("extract_features", "index_features", subject=_name)
