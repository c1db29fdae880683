"""A row of the table, and the rows that several keys share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.workflow.invalidation.effects import (
    NOTHING,
    PROTOCOL,
    SMALL_PROTOCOL,
    Job,
    extracted,
    modelled,
    trained,
)
from tests.workflow.invalidation.studies import CORPORA, MODELS, READERS

TABLES_WORDS = "tables, figures, report"
NAMED_WORDS = f"audit, {TABLES_WORDS}"
PROTOCOL_WORDS = f"folds and their check; all training; {TABLES_WORDS}"
LABELS_WORDS = f"labels, audit; {PROTOCOL_WORDS}"
DECLARED_WORDS = f"the corpus's tables; {LABELS_WORDS}; no features"
READING_WORDS = "the recordings, and at most everything behind them"
HEARD_WORDS = "extraction under this condition; tests on changed audio; report"


@dataclass(frozen=True)
class Row:
    """A change of one key, and what it reruns."""

    to: Any
    """The key's new value."""

    effect: frozenset[Job]

    words: str
    """The effect as the page says it."""

    path: str = ""
    """Where the key stands in the study; where it is not its name."""

    given: dict[str, Any] = field(default_factory=dict)
    """What the study has instead, so that the key means anything: {path: value}."""

    small: bool = False
    """Whether the study is the small one."""


def representation(name: str, to: Any, key: str, **given: Any) -> Row:
    words = f"extraction of this representation; training of what reads it; {TABLES_WORDS}"
    return Row(to, extracted(name), words, f"representations.{name}.{key}", given)


def model(name: str, to: Any, key: str) -> Row:
    words = f"training of what has this model; {TABLES_WORDS}"
    return Row(to, modelled(name), words, f"models.{name}.{key}")


def nothing(to: Any, path: str = "") -> Row:
    return Row(to, NOTHING, "nothing", path)


def protocol(to: Any, **given: Any) -> Row:
    return Row(to, PROTOCOL, PROTOCOL_WORDS, given=given)


def reading(corpus: str, to: Any, effect: frozenset[Job], words: str, path: str) -> Row:
    """Of a corpus that lies in the small study's folder."""
    return Row(to, effect, words, path, {"corpus": CORPORA[corpus]}, small=True)


def folded(to: Any, path: str) -> Row:
    given = {"protocol": {"fold_unit": "file", "fold_file": "folds.csv", "folds": 2}}
    return Row(to, SMALL_PROTOCOL, PROTOCOL_WORDS, path, given, small=True)


def training(to: Any) -> Row:
    networks = [name for name in READERS if MODELS[name] != "svm"]
    return Row(to, trained(*networks), f"all training but estimators; {TABLES_WORDS}")
