"""The table of published figures, with a study's own beside them where they can be compared."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa

from emoscale.config.evidence import StudyEvidence, TrainedExperiment
from emoscale.evaluation.curves import Curve
from emoscale.evaluation.published_figures import PUBLISHED, STUDY, Figure
from emoscale.tables.parquet import dataframe_of
from emoscale.tables.schemas import schema_field

_OURS = "of the experiment, 0 to 1; null: none is comparable, as `differs` says"

PUBLISHED_TABLE = pa.schema(
    [
        schema_field("source", pa.string(), "publication"),
        schema_field("system", pa.string(), "as the publication calls it"),
        schema_field("task", pa.string(), "what was done"),
        schema_field("metric", pa.string(), "ua (unweighted accuracy), wa (accuracy) or macro_f1"),
        schema_field(
            "labels",
            pa.int32(),
            "training utterances; null: all that its protocol leaves",
            null=True,
        ),
        schema_field("value", pa.float64(), "as published, 0 to 1"),
        schema_field("protocol", pa.string(), "as far as it was stated"),
        schema_field(
            "experiment", pa.string(), "of this study that is nearest; null: none", null=True
        ),
        schema_field("our_value", pa.float64(), f"the same metric {_OURS}", null=True),
        schema_field("our_low", pa.float64(), f"lower end of its 95 % interval {_OURS}", null=True),
        schema_field("our_high", pa.float64(), f"upper end {_OURS}", null=True),
        schema_field(
            "differences", pa.string(), "what differs in protocol, or why nothing is beside it"
        ),
    ]
)
"""A row a published figure and comparable experiment; a row a figure where there is none."""

CORPUS = "IEMOCAP"
CLASSES = 4
_NEAR = 0.05
"""How far (a share) the labels of a comparable training may be from the published ones."""


def published_table(scores: pl.DataFrame, asked: StudyEvidence) -> pl.DataFrame:
    """Every published figure beside the experiments of the same representation, model and size."""
    reason = _reason(scores, asked)
    rows: list[dict[str, object]] = []
    for figure in PUBLISHED:
        published = {
            "source": figure.publication.source,
            "system": figure.system,
            "task": figure.task,
            "metric": figure.metric,
            "labels": figure.labels,
            "value": figure.value,
            "protocol": f"{figure.publication.folds}; development: "
            f"{figure.publication.development}; model: {figure.model}",
        }
        ours = [] if reason else list(_comparable(figure, scores, asked))
        rows += [{**published, **own} for own in ours]
        if not ours:
            why = reason or (figure.remarks if not figure.reads else "")
            nothing = dict.fromkeys(("experiment", "our_value", "our_low", "our_high"))
            why = why or "no experiment of this study has this representation, model and size"
            rows.append({**published, **nothing, "differences": why})
    return dataframe_of(rows, PUBLISHED_TABLE)


def study_curves() -> list[Curve]:
    """The published study's own two curves, without draws."""
    points: dict[str, list[tuple[int, float]]] = {}
    for figure in PUBLISHED:
        if figure.publication is STUDY and figure.labels is not None:
            points.setdefault(figure.system, []).append((figure.labels, figure.value))
    return [
        Curve(
            system,
            tuple(str(labels) for labels, _ in measured),
            np.array([labels for labels, _ in measured], dtype=float),
            np.array([value for _, value in measured]),
        )
        for system, measured in points.items()
    ]


def _reason(scores: pl.DataFrame, asked: StudyEvidence) -> str:
    """Why nothing of the study can stand beside figures of IEMOCAP; empty: something can."""
    corpus = scores["corpus"][0]
    if corpus != CORPUS:
        return f"the published figures are of IEMOCAP, and this study's corpus is {corpus}"
    if len(asked.classes) != CLASSES:
        return f"published with {CLASSES} classes, and this study has {len(asked.classes)}"
    if asked.protocol.get("shuffle_labels"):
        return "this study is a negative control, whose labels are permuted"
    return ""


def _comparable(
    figure: Figure, scores: pl.DataFrame, asked: StudyEvidence
) -> Iterable[dict[str, object]]:
    for row in scores.iter_rows(named=True):
        experiment = asked.experiments[row["experiment"]]
        if not (
            _same_system(figure, experiment, row["pretrained_weights"]) and _same_size(figure, row)
        ):
            continue
        yield {
            "experiment": row["experiment"],
            "our_value": row[figure.metric],
            "our_low": row.get(f"{figure.metric}_low"),
            "our_high": row.get(f"{figure.metric}_high"),
            "differences": "; ".join(_differences(figure, experiment, asked.protocol, row)),
        }


def _same_system(figure: Figure, experiment: TrainedExperiment, weights: str) -> bool:
    if len(figure.reads) != len(experiment.representations) or not figure.reads:
        return False
    read = all(
        any(_has(settings, wanted) for wanted in alternatives)
        for alternatives, settings in zip(figure.reads, experiment.representations, strict=True)
    )
    model = not figure.models or any(_has(experiment.model, wanted) for wanted in figure.models)
    # A name within a longer one is another network: wav2vec2-base-960h was fine-tuned.
    named = not figure.weights or any(
        re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", weights) for name in figure.weights
    )
    return read and model and named


def _has(settings: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(settings.get(key) == value for key, value in wanted.items())


def _same_size(figure: Figure, row: Mapping[str, Any]) -> bool:
    if figure.labels is None:
        return bool(row["size"] == "all")
    near: bool = abs(row["training_utterances_mean"] - figure.labels) <= _NEAR * figure.labels
    return near and row["size"] != "all"


def _differences(
    figure: Figure,
    experiment: TrainedExperiment,
    protocol: Mapping[str, Any],
    row: Mapping[str, Any],
) -> Iterable[str]:
    publication = figure.publication
    for name, theirs, ours in (
        ("folds", publication.folds, _folds(protocol)),
        ("development", publication.development, _development(protocol)),
        ("model", figure.model, _model(experiment)),
    ):
        if theirs != ours:
            yield f"{name}: published {theirs}, here {ours}"
    if figure.labels is not None and round(row["training_utterances_mean"]) != figure.labels:
        yield f"labels: here {row['training_utterances_mean']:,.0f}"
    if figure.remarks:
        yield f"published: {figure.remarks}"


def _folds(protocol: Mapping[str, Any]) -> str:
    unit, folds = protocol.get("fold_unit"), protocol.get("folds")
    if (unit, folds) == ("session", 5):
        return "a fold a session, five of them"
    return f"{folds} folds by {str(unit).replace('_', ' ')}"


def _development(protocol: Mapping[str, Any]) -> str:
    kind = protocol.get("development")
    unit = "session" if protocol.get("fold_unit") == "session" else "group of speakers"
    words = {
        "unit": f"one whole {unit}",
        "random": f"a random {100 * protocol.get('development_fraction', 0):.3g} % of the training "
        f"{unit}s",
        "none": "none",
    }
    return words.get(str(kind), str(kind).replace("_", " "))


def _model(experiment: TrainedExperiment) -> str:
    settings = {key: value for key, value in experiment.model.items() if key != "kind"}
    return f"{experiment.model['kind']} {json.dumps(settings)}"
