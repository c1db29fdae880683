"""Rows of the table, and constructors of rows that several keys share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.workflow.invalidation.effects import (
    NOTHING,
    PROTOCOL,
    SMALL_PROTOCOL,
    Job,
    extraction_jobs,
    model_jobs,
    training_jobs,
)
from tests.workflow.invalidation.studies import (
    CORPORA,
    MODELS,
    PRETRAINING,
    REPRESENTATIONS,
)

TABLES_TEXT = "tables, figures, report"
CORPUS_NAME_TEXT = f"audit, protocol check; {TABLES_TEXT}"
PROTOCOL_TEXT = f"folds, protocol check; all training; {TABLES_TEXT}"
LABELS_TEXT = f"labels, audit; {PROTOCOL_TEXT}"
METADATA_TEXT = f"corpus tables; {LABELS_TEXT}; no extraction"
READING_TEXT = "reading of the recordings, and at most all later steps"
AUDIO_TEXT = f"reading of unlabelled speech, pre-training; {READING_TEXT}"
PERTURBED_TEXT = "extraction under this condition; robustness tests; report"


@dataclass(frozen=True)
class Row:
    """A changed value of one key and the jobs that it reruns."""

    value: Any
    """The new value of the key."""

    effect: frozenset[Job]
    """The jobs that rerun."""

    text: str
    """The effect as described on the page."""

    path: str = ""
    """The path of the key in the study, if it differs from the name in the table."""

    base: dict[str, Any] = field(default_factory=dict)
    """Settings of the study before the change that give the key an effect: {path: value}."""

    small: bool = False
    """Whether the small study is changed."""


def representation(name: str, value: Any, key: str, **base: Any) -> Row:
    text = f"extraction of this representation; training of experiments that use it; {TABLES_TEXT}"
    return Row(value, extraction_jobs(name), text, f"representations.{name}.{key}", base)


def model(name: str, value: Any, key: str) -> Row:
    text = f"training of experiments with this model; {TABLES_TEXT}"
    return Row(value, model_jobs(name), text, f"models.{name}.{key}")


def no_effect(value: Any, path: str = "") -> Row:
    return Row(value, NOTHING, "nothing", path)


def protocol(value: Any, **base: Any) -> Row:
    return Row(value, PROTOCOL, PROTOCOL_TEXT, base=base)


def reading(corpus: str, value: Any, effect: frozenset[Job], text: str, path: str) -> Row:
    """Return a row for the small study with one of the corpora in its folder."""
    return Row(value, effect, text, path, {"corpus": CORPORA[corpus]}, small=True)


def pretraining(name: str, value: Any, key: str, effect: frozenset[Job], text: str) -> Row:
    """Return a row for the small study with pre-trained checkpoints."""
    path = f"checkpoints.{name}.{key}"
    return Row(value, effect, text, path, PRETRAINING, small=True)


def fold_file(value: Any, path: str) -> Row:
    base = {"protocol": {"fold_unit": "file", "fold_file": "folds.csv", "folds": 2}}
    return Row(value, SMALL_PROTOCOL, PROTOCOL_TEXT, path, base, small=True)


def training(value: Any) -> Row:
    networks = [name for name in REPRESENTATIONS if MODELS[name] != "svm"]
    return Row(value, training_jobs(*networks), f"all training except of estimators; {TABLES_TEXT}")
