"""The table of published results, each with the comparable experiments of the study.

The results themselves are in `published_results` and `published_benchmarks`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from emoscale.config.evidence import StudyEvidence, TrainedExperiment
from emoscale.evaluation.curves import LearningCurve
from emoscale.evaluation.published_benchmarks import BENCHMARK_RESULTS
from emoscale.evaluation.published_results import (
    PUBLISHED_RESULTS,
    STUDY,
    Publication,
    PublishedResult,
)
from emoscale.tables.parquet import dataframe_of
from emoscale.tables.schemas import schema_field

_NULL = "null: no comparable experiment, see `differences`"

PUBLISHED_TABLE = pa.schema(
    [
        schema_field("source", pa.string(), "publication"),
        schema_field("system", pa.string(), "name of the system in the publication"),
        schema_field("task", pa.string(), "kind of experiment"),
        schema_field(
            "metric",
            pa.string(),
            "ua (unweighted accuracy), wa (accuracy) or macro_f1",
        ),
        schema_field(
            "labels",
            pa.int32(),
            "training utterances; null: all that the protocol allows",
            null=True,
        ),
        schema_field("value", pa.float64(), "published score, 0 to 1"),
        schema_field("protocol", pa.string(), "published protocol, as far as it was stated"),
        schema_field(
            "experiment",
            pa.string(),
            "comparable experiment of this study; null: none",
            null=True,
        ),
        schema_field(
            "our_value",
            pa.float64(),
            f"score of the experiment in the same metric, 0 to 1; {_NULL}",
            null=True,
        ),
        schema_field(
            "our_low", pa.float64(), f"lower end of its 95 % interval; {_NULL}", null=True
        ),
        schema_field(
            "our_high", pa.float64(), f"upper end of its 95 % interval; {_NULL}", null=True
        ),
        schema_field(
            "differences",
            pa.string(),
            "differences in protocol, or why no experiment is comparable; test speakers that are "
            "also in training",
        ),
    ]
)
"""One row per published result and comparable experiment; one row for a result without any."""

_LABEL = " (labels: "
"""Text between the name of a corpus and which of several labels of its utterances is used."""

_SIZE_TOLERANCE = 0.05
"""Largest relative difference in the number of labels of a comparable experiment."""


def published_table(scores: pl.DataFrame, settings: StudyEvidence) -> pl.DataFrame:
    """Match published results on the study's corpus with its experiments.

    Comparable experiments have the same representation, model and training size.

    Parameters
    ----------
    scores : DataFrame
        The study's table of scores.
    settings : StudyEvidence
        Settings of the study that decide which experiments are comparable.

    Returns
    -------
    DataFrame
        One row per published result and comparable experiment (schema `PUBLISHED_TABLE`); empty if
        nothing is published on the corpus.
    """
    rows: list[dict[str, object]] = []
    for result in (*PUBLISHED_RESULTS, *BENCHMARK_RESULTS):
        if _letters(result.publication.corpus) != _letters(_corpus_and_label(scores)[0]):
            continue
        incomparable = _incomparable_reason(result.publication, scores, settings)
        published = {
            "source": result.publication.source,
            "system": result.system,
            "task": result.task,
            "metric": result.metric,
            "labels": result.labels,
            "value": result.value,
            "protocol": f"{result.publication.folds}; development: "
            f"{result.publication.development}; model: {result.model}",
        }
        matches = [] if incomparable else list(_comparable(result, scores, settings))
        rows += [{**published, **match} for match in matches]
        if not matches:
            reason = incomparable or (result.remarks if not result.representations else "")
            reason = reason or "no experiment of this study has this representation, model and size"
            nulls = dict.fromkeys(("experiment", "our_value", "our_low", "our_high"))
            reasons = [reason, *_speaker_difference(result.publication, settings.protocol)]
            rows.append({**published, **nulls, "differences": "; ".join(reasons)})
    return dataframe_of(rows, PUBLISHED_TABLE)


def published_curves() -> list[LearningCurve]:
    """Return the two learning curves of the published study, without bootstrap samples.

    Returns
    -------
    list of LearningCurve
        The curves of hand-engineered features and of wav2vec.

    References
    ----------
    "Recognizing More Emotions with Less Data Using Self-supervised Transfer Learning", arXiv
    2011.05585, 2020.
    """
    points: dict[str, list[tuple[int, float]]] = {}
    for result in PUBLISHED_RESULTS:
        if result.publication is STUDY and result.labels is not None:
            points.setdefault(result.system, []).append((result.labels, result.value))
    return [
        LearningCurve(
            system,
            tuple(str(labels) for labels, _ in measured),
            np.array([labels for labels, _ in measured], dtype=float),
            np.array([value for _, value in measured]),
        )
        for system, measured in points.items()
    ]


def _corpus_and_label(scores: pl.DataFrame) -> tuple[str, str]:
    """Return the name of the study's corpus, and which of several labels it uses; empty: one."""
    name, _, label = scores["corpus"][0].partition(_LABEL)
    return name, label.removesuffix(")")


def _letters(name: str) -> str:
    """Return a name for comparison: EMO-DB and EmoDB are the same corpus."""
    return re.sub(r"[\W_]", "", name).casefold()


def _incomparable_reason(
    publication: Publication, scores: pl.DataFrame, settings: StudyEvidence
) -> str:
    """Return why no experiment of the study is comparable; empty if some may be."""
    label = _corpus_and_label(scores)[1]
    if label and publication.label != label:
        return f"published with {publication.label or 'other'} labels, and this study's are {label}"
    if len(settings.classes) != publication.classes:
        return (
            f"published with {publication.classes} classes, and this study has "
            f"{len(settings.classes)}"
        )
    if settings.protocol.get("shuffle_labels"):
        return "this study is a negative control with permuted labels"
    return ""


def _comparable(
    result: PublishedResult, scores: pl.DataFrame, settings: StudyEvidence
) -> Iterable[dict[str, object]]:
    for row in scores.iter_rows(named=True):
        experiment = settings.experiments[row["experiment"]]
        if not (
            _same_system(result, experiment, row["pretrained_weights"]) and _same_size(result, row)
        ):
            continue
        yield {
            "experiment": row["experiment"],
            "our_value": row[result.metric],
            "our_low": row.get(f"{result.metric}_low"),
            "our_high": row.get(f"{result.metric}_high"),
            "differences": "; ".join(_differences(result, experiment, settings.protocol, row)),
        }


def _same_system(
    result: PublishedResult, experiment: TrainedExperiment, pretrained_weights: str
) -> bool:
    if len(result.representations) != len(experiment.representations) or not result.representations:
        return False
    same_representations = all(
        any(_matches(settings, required) for required in alternatives)
        for alternatives, settings in zip(
            result.representations, experiment.representations, strict=True
        )
    )
    same_model = not result.models or any(
        _matches(experiment.model, required) for required in result.models
    )
    # A name within a longer one is another network: wav2vec2-base-960h was fine-tuned.
    # So are weights that the study has trained further: "…, 20,000 steps, from wav2vec_large.pt".
    same_weights = not result.pretrained_weights or any(
        re.search(rf"(?<![\w.-])(?<!, from ){re.escape(name)}(?![\w-]|\.en\b)", pretrained_weights)
        for name in result.pretrained_weights
    )
    return same_representations and same_model and same_weights


def _matches(settings: Mapping[str, Any], required: Mapping[str, Any]) -> bool:
    return all(settings.get(key) == value for key, value in required.items())


def _same_size(result: PublishedResult, row: Mapping[str, Any]) -> bool:
    if result.labels is None:
        return bool(row["size"] == "all")
    near: bool = (
        abs(row["training_utterances_mean"] - result.labels) <= _SIZE_TOLERANCE * result.labels
    )
    return near and row["size"] != "all"


def _differences(
    result: PublishedResult,
    experiment: TrainedExperiment,
    protocol: Mapping[str, Any],
    row: Mapping[str, Any],
) -> Iterable[str]:
    publication = result.publication
    for name, published, ours in (
        ("folds", publication.folds, _folds(protocol)),
        ("development", publication.development, _development(protocol)),
        ("model", result.model, _model(experiment)),
    ):
        if published != ours:
            yield f"{name}: published {published}, this study {ours}"
    yield from _speaker_difference(publication, protocol)
    if result.labels is not None and round(row["training_utterances_mean"]) != result.labels:
        yield f"labels: this study {row['training_utterances_mean']:,.0f}"
    if result.normalisation not in (None, experiment.normalisation):
        yield (
            f"normalisation: published by {result.normalisation}, this study by "
            f"{experiment.normalisation}"
        )
    if result.remarks:
        yield f"published: {result.remarks}"


def _speaker_difference(publication: Publication, protocol: Mapping[str, Any]) -> Iterable[str]:
    """Yield the test speakers that are also in training, unless there are none in both."""
    may_share = protocol.get("allow_shared_speakers") or protocol.get("fold_unit") == "official"
    ours = "as its notes say" if may_share else "none"
    if (publication.shared_speakers, ours) != ("none", "none"):
        yield (
            f"test speakers that are also in training or development: published "
            f"{publication.shared_speakers}, this study {ours}"
        )


def _folds(protocol: Mapping[str, Any]) -> str:
    unit, folds = protocol.get("fold_unit"), protocol.get("folds")
    if (unit, folds) == ("session", 5):
        return "one fold per session, five folds"
    if unit == "official":
        return "the official split"
    return f"{folds} folds by {str(unit).replace('_', ' ')}"


def _development(protocol: Mapping[str, Any]) -> str:
    kind = protocol.get("development")
    unit = "session" if protocol.get("fold_unit") == "session" else "group of speakers"
    descriptions = {
        "unit": f"one whole {unit}",
        "random": f"a random {100 * protocol.get('development_fraction', 0):.3g} % of the training "
        f"{unit}s",
        "official": "the official development set",
        "none": "none",
    }
    return descriptions.get(str(kind), str(kind).replace("_", " "))


def _model(experiment: TrainedExperiment) -> str:
    settings = {key: value for key, value in experiment.model.items() if key != "kind"}
    return f"{experiment.model['kind']} {json.dumps(settings)}"
