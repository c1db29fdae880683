"""What follows from what: sets of jobs that a change reruns."""

from __future__ import annotations

from tests.workflow.invalidation.studies import CONDITIONS, MODELS, READERS, STUDY

Job = tuple[str, str]
"""A rule, and the representation, experiment or checkpoint that it works for; or nothing."""


def of(*rules: str, who: str = "") -> frozenset[Job]:
    return frozenset((rule, who) for rule in rules)


# What follows from what, from the end to the beginning.
REPORT = of("write_report")
EVIDENCE = of("measure_efficiency", "draw_figures") | REPORT
TABLES = EVIDENCE | of("make_tables", "compare_experiments", "slice_scores")
NAMED = TABLES | of("audit_corpus")
ROBUSTNESS = of("score_robustness", "draw_figures") | REPORT


def trained(*experiments: str) -> frozenset[Job]:
    """These are trained again, and tested again on changed audio where they are at all."""
    jobs = TABLES
    for name in experiments:
        jobs |= of("train", who=name)
        if name == "mfcc":
            jobs |= of("test_robustness", who=name) | ROBUSTNESS
    return jobs


def heard(*conditions: str) -> frozenset[Job]:
    """What is heard under these conditions is extracted again."""
    jobs = of("test_robustness", who="mfcc") | ROBUSTNESS
    for condition in conditions:
        jobs |= of("extract_perturbed", "index_perturbed", who=condition)
    return jobs


def extracted(representation: str) -> frozenset[Job]:
    """It is extracted again, and what reads it is trained again."""
    readers = [name for name, read in READERS.items() if _names(read, representation)]
    jobs = of("extract_features", "index_features", who=representation) | trained(*readers)
    return jobs | heard(*CONDITIONS) if representation == "mfcc" else jobs


def modelled(model: str) -> frozenset[Job]:
    """What has this model is trained again."""
    return trained(*(name for name, own in MODELS.items() if own == model))


def _names(read: list[str], representation: str) -> bool:
    return representation in [reference.partition("/")[0] for reference in read]


NOTHING: frozenset[Job] = frozenset()
ALL_TRAINED = trained(*READERS)
PROTOCOL = of("make_fold", "check_protocol") | ALL_TRAINED
LABELS = of("label_corpus", "audit_corpus") | PROTOCOL
DECLARED = of("read_corpus") | LABELS
SHARDS = of("read_shard", "gather_texts", "read_texts", "measure_shard", "find_duplicates")
READING = DECLARED | SHARDS | of("list_talkers")
for _name in STUDY["representations"]:
    READING |= extracted(_name)
FETCHED = of("fetch_checkpoint", who="file")
for _name in ("hub", "made"):
    FETCHED |= of("fetch_checkpoint", who=_name)
EVERYTHING = READING | FETCHED

# Of the small study, which reads a corpus that is there.
SMALL_PROTOCOL = (
    TABLES | of("make_fold", "check_protocol") | of("train", who="mfcc") | of("train", who="bert")
)
SMALL_DECLARED = of("read_corpus", "label_corpus", "audit_corpus") | SMALL_PROTOCOL
SMALL_TEXTS = (
    TABLES
    | of("gather_texts", "read_texts", "audit_corpus", "check_protocol")
    | of("extract_features", "index_features", "train", who="bert")
)
SMALL_READING = SMALL_DECLARED | SHARDS
for _name in ("mfcc", "bert"):
    SMALL_READING |= of("extract_features", "index_features", who=_name)
