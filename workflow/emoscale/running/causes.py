"""Why steps run, in the words of the configuration rather than of the rules."""

from __future__ import annotations

from dataclasses import dataclass

from emoscale.config.study import Study
from emoscale.running.graph import Graph, Step
from emoscale.running.parameters import Change

_LONGEST = 60

PLACES = {
    ("generate_demo", "settings"): "corpus",
    ("read_shard", "audio"): "audio",
    ("read_shard", "shards"): "shards",
    ("label_corpus", "settings"): "labels",
    ("slice_scores", "labels"): "labels",
    ("extract_features", "settings"): "representations.{representation}",
    ("extract_perturbed", "settings"): "representations.{representation}",
    ("extract_perturbed", "condition"): "robustness.conditions.{condition}",
    ("fetch_checkpoint", "identity"): "checkpoints.{checkpoint}",
    ("make_fold", "settings"): "protocol",
    ("check_protocol", "settings"): "protocol",
    ("check_protocol", "sizes"): "",
    ("make_tables", "protocol"): "protocol",
    ("compare_experiments", "seed"): "seed",
    ("slice_scores", "seed"): "seed",
    ("test_robustness", "conditions"): "robustness.conditions",
    ("score_robustness", "conditions"): "robustness.conditions",
    ("score_robustness", "seed"): "seed",
}
"""Of a rule's parameter: the place in the configuration that it is a slice of."""

_WORDS = {
    "code": "the code that does it changed",
    "heard": "the code that makes changed audio changed",
    "checkpoint": "its weights were replaced",
    "fold_file": "the table of given folds changed",
    "cells": "another set of experiments, sizes or folds",
}
"""Of parameters that are no part of the configuration."""

_CORPUS = {
    "files": "recordings of the shard changed, came or went",
    "texts": "texts of the shard changed",
    "declared": "what the corpus says of its recordings changed",
}


@dataclass(frozen=True)
class Cause:
    """One reason, short enough for a table, with the values where there are any."""

    words: str
    """`training.learning_rate changed`; the same for all steps that it sets off."""

    old: str | None = None
    new: str | None = None

    root: bool = True
    """False: it only follows another step of the same run."""

    def __str__(self) -> str:
        if self.old is None and self.new is None:
            return self.words
        old, new = (_short(value) for value in (self.old, self.new))
        return f"{self.words}: {old} → {new}"


class Causes:
    """Says of each step of a graph why it runs."""

    def __init__(self, graph: Graph) -> None:
        self._study = graph.study
        self._makers = {path: step for step in graph.steps for path in step.outputs}
        self._made: dict[str, set[tuple[str, str]]] = {}
        for step in graph.steps:
            if step.made_before:
                self._made.setdefault(step.rule, set()).update(step.wildcards.items())

    def of(self, step: Step) -> list[Cause]:
        """Its own reasons; where it has none, what it follows; empty where it does not run."""
        return self._own(step) or self._followed(step)

    def _own(self, step: Step) -> list[Cause]:
        reason = step.reason
        causes = [_cause_of_change(change, step, self._study) for change in reason.changes]
        if reason.interrupted:
            causes.append(Cause("a run was stopped while it was made"))
        elif reason.missing:
            causes.append(Cause("its output was removed" if step.made_before else self._new(step)))
        causes += [Cause(f"{path} changed") for path in reason.updated]
        causes += [Cause(words) for words in reason.other]
        return list(dict.fromkeys(causes))

    def _new(self, step: Step) -> str:
        """What of a step was never there; where its rule has made nothing yet, just that."""
        made = self._made.get(step.rule, set())
        for name, value in step.wildcards.items():
            if made and (name, value) not in made:
                return f"{name} {value} is new"
        return "not made yet"

    def _followed(self, step: Step) -> list[Cause]:
        behind = step.reason.behind
        rules = sorted({self._makers[path].rule for path in behind if path in self._makers})
        return [Cause(f"follows {', '.join(rules)}", root=False)] if rules else []


def _cause_of_change(change: Change, step: Step, study: Study) -> Cause:
    if change.parameter in _WORDS:
        return Cause(_WORDS[change.parameter])
    if change.parameter in _CORPUS:
        if change.path:  # of the generated corpus this is its settings
            return Cause(f"corpus.{change.path} changed", change.old, change.new)
        return Cause(_CORPUS[change.parameter])
    if not change.parameter:
        return Cause("a setting is no longer what it was")
    key = _key(change, step, study)
    if change.old is None and change.new is not None and change.path:
        return Cause(f"{key} added", new=None)
    if change.new is None and change.path:
        return Cause(f"{key} removed")
    return Cause(f"{key} changed", change.old, change.new)


def _key(change: Change, step: Step, study: Study) -> str:
    """Where the configuration says it; where that is not known, the rule's own name for it."""
    if (step.rule, change.parameter) == ("train", "settings"):
        return _training_key(change.path, step.wildcards["experiment"], study)
    if (step.rule, change.parameter) == ("measure_efficiency", "settings"):
        top = change.path.split(".")[0]
        if top == "classes":
            return "labels.classes"
        elsewhere = ("seed", "protocol", "experiments")
        return change.path if top in elsewhere else f"evidence.{change.path}"
    place = PLACES.get((step.rule, change.parameter))
    if place is None:
        return ".".join(filter(None, [change.parameter, change.path]))
    if place == "protocol" and change.path == "seed":
        return "seed"
    return ".".join(filter(None, [place.format(**step.wildcards), change.path]))


def _training_key(path: str, experiment: str, study: Study) -> str:
    top, _, rest = path.partition(".")
    own = study.experiments[experiment]
    if top == "training" and rest.split(".")[0] in own.training:
        return f"experiments.{experiment}.{path}"
    if top == "model":
        return ".".join(filter(None, [f"models.{own.model}", rest]))
    if top == "layers":
        return f"experiments.{experiment}.representations"
    if top == "search":
        return f"experiments.{experiment}.{path}"
    return path


def _short(value: str | None) -> str:
    if value is None:
        return "none"
    return value if len(value) <= _LONGEST else value[: _LONGEST - 1] + "…"
