"""The table of runs: a row a repeat of a cell, with its scores and where it came from."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from emoscale.config.protocol import ProtocolSettings
from emoscale.config.representations import modality_of
from emoscale.evaluation.layer_weights import LAYER_WEIGHTS, layer_weight_rows
from emoscale.evaluation.trials import TRIALS, trial_rows
from emoscale.runtime.errors import StoreError
from emoscale.runtime.provenance import canonical_json
from emoscale.tables.parquet import dataframe_of, read_table
from emoscale.tables.schemas import predictions_schema, schema_field
from emoscale.training.metrics import Metrics, confusion_matrix, metrics_of
from emoscale.training.run_record import (
    PREDICTIONS,
    RECORD,
    WEIGHTS,
    CellName,
    RepeatRecord,
    RunRecord,
    check_file_of_run,
    read_run_record,
)


@dataclass(frozen=True)
class Collected:
    """What the cells of a study left behind."""

    classes: list[str]
    runs: pl.DataFrame
    """Schema `runs_schema`."""

    predictions: pl.DataFrame
    """Schema `predictions_of_study`."""

    trials: pl.DataFrame
    """Schema `TRIALS`; no rows where nothing was searched."""

    layer_weights: pl.DataFrame
    """Schema `LAYER_WEIGHTS`; no rows where no model weighed layers."""


def runs_schema(classes: list[str]) -> pa.Schema:
    """A row a repeat; of a search, its chosen trial."""
    return pa.schema(
        [
            schema_field("study", pa.string(), "name of the study"),
            schema_field("corpus", pa.string(), "corpus; a generated one is called synthetic"),
            schema_field(
                "experiment", pa.string(), "representation and model, by the study's name"
            ),
            schema_field("representations", pa.string(), "what is learned from; + between several"),
            schema_field("modality", pa.string(), "audio, text or external; + between several"),
            schema_field(
                "pretrained_weights",
                pa.string(),
                "where pre-trained weights come from; empty: none",
            ),
            schema_field(
                "chunked_utterances",
                pa.int32(),
                "of this job's utterances, too long for the network to see as a whole",
            ),
            schema_field("model", pa.string(), "kind of classifier"),
            schema_field("fold", pa.string(), "which part of the corpus is tested"),
            schema_field("size", pa.string(), "training size as asked for"),
            schema_field("repeat", pa.int32(), "training order and initialisation"),
            schema_field(
                "order", pa.int32(), "training order; repeats of one differ in initialisation"
            ),
            schema_field("training_utterances", pa.int32(), "labels learned from"),
            *(schema_field(f"training_count_{c}", pa.int32(), "of this class") for c in classes),
            schema_field("training_speakers", pa.int32(), "speakers learned from"),
            schema_field(
                "development_utterances", pa.int32(), "that chose step, strength and trial"
            ),
            schema_field("test_utterances", pa.int32(), "that the scores are of"),
            schema_field(
                "ua", pa.float64(), "unweighted accuracy: mean recall over classes, 0 to 1"
            ),
            schema_field("wa", pa.float64(), "accuracy, 0 to 1"),
            schema_field("macro_f1", pa.float64(), "mean F1 over classes, 0 to 1"),
            *(schema_field(f"recall_{c}", pa.float64(), "recall, 0 to 1") for c in classes),
            schema_field(
                "best_development_ua",
                pa.float64(),
                "of the kept weights, 0 to 1; null: no development set",
                null=True,
            ),
            schema_field(
                "trials", pa.int32(), "points of the searched grid; 1: nothing was searched"
            ),
            schema_field("chosen_trial", pa.int32(), "the one that this row is of, from 0"),
            schema_field("choices", pa.string(), "its searched settings, canonical JSON"),
            schema_field(
                "steps", pa.int32(), "optimiser steps, or strengths tried by an estimator"
            ),
            schema_field(
                "best_step", pa.int32(), "which of them is kept, from 1; 0: the beginning"
            ),
            schema_field("stop_reason", pa.string(), "patience or budget; fitted: an estimator"),
            schema_field(
                "seconds",
                pa.float64(),
                "wall time of this training",
                measured=True,
            ),
            schema_field(
                "cell_seconds",
                pa.float64(),
                "wall time of the job with all its repeats",
                measured=True,
            ),
            schema_field("peak_memory_megabytes", pa.float64(), "of the job", measured=True),
            schema_field("device", pa.string(), "what it ran on"),
            schema_field("execution", pa.string(), "how this training was computed"),
            schema_field("precision", pa.string(), "of the network's numbers"),
            schema_field("notes", pa.string(), "what weakens the protocol"),
            schema_field("settings", pa.string(), "model, training and search, canonical JSON"),
            schema_field("settings_sha256", pa.string(), "digest of the settings"),
            schema_field("code_sha256", pa.string(), "digest of the training code"),
            schema_field("protocol_sha256", pa.string(), "digest of the fold's table"),
            schema_field("features_sha256", pa.string(), "digests of the features, + between them"),
            schema_field(
                "corpus_sha256",
                pa.string(),
                "digests of the corpus's rows that the features were made from, + between them",
            ),
            schema_field(
                "checkpoint_sha256",
                pa.string(),
                "digests of the pre-trained weights, + between them; empty: none",
            ),
            schema_field("model_sha256", pa.string(), "digest of the job's trained weights"),
            schema_field("predictions_sha256", pa.string(), "digest of the job's predictions"),
            schema_field("versions", pa.string(), "package versions, JSON"),
        ]
    )


def predictions_of_study(classes: list[str]) -> pa.Schema:
    """All predictions of a study: those of a cell, with the cell's name."""
    return pa.schema(
        [
            *predictions_schema(classes),
            schema_field(
                "experiment", pa.string(), "representation and model, by the study's name"
            ),
            schema_field("fold", pa.string(), "which part of the corpus is tested"),
            schema_field("size", pa.string(), "training size as asked for"),
            schema_field(
                "order", pa.int32(), "training order; repeats of one differ in initialisation"
            ),
        ]
    )


def collect_runs(
    runs: Path,
    cells: Iterable[CellName],
    study: str,
    corpus: str,
    notes: str,
    protocol: ProtocolSettings,
) -> Collected:
    """The tables of all cells together, in the order of `cells`.

    Raises `StoreError` where a cell is missing, was written by another version, or its predictions
    are not those of its run.
    """
    rows: list[dict[str, object]] = []
    trials: list[dict[str, object]] = []
    layer_weights: list[dict[str, object]] = []
    predictions: list[pl.DataFrame] = []
    classes: list[str] = []
    for cell in cells:
        folder = cell.folder(runs)
        run = read_run_record(folder / RECORD)
        if classes and run.classes != classes:
            raise StoreError(f"{folder}: was trained on other classes; remove it and run again")
        classes = run.classes
        table = read_table(folder / PREDICTIONS, predictions_schema(classes))
        check_file_of_run(folder / PREDICTIONS, run)
        for repeat in run.repeats:
            own = table.filter(repeat=repeat.repeat)
            if len(own) != run.test_utterances:
                raise StoreError(
                    f"{folder / PREDICTIONS}: repeat {repeat.repeat} has {len(own)} predictions, "
                    f"{RECORD} says {run.test_utterances}; remove both, run again"
                )
            metrics = metrics_of(confusion_of(own, classes))
            order = protocol.order_of(repeat.repeat)
            rows.append(_row(run, repeat, order, metrics, study, corpus, notes))
            trials += trial_rows(run, repeat)
            layer_weights += layer_weight_rows(run, repeat)
        predictions.append(
            table.with_columns(
                experiment=pl.lit(cell.experiment),
                fold=pl.lit(cell.fold),
                size=pl.lit(cell.size),
                order=pl.col("repeat") // protocol.seeds_per_order,
            )
        )
    if not rows:
        raise StoreError(f"{runs}: there is no run to tabulate")
    return Collected(
        classes,
        pl.DataFrame(rows, infer_schema_length=None),
        pl.concat(predictions),
        dataframe_of(trials, TRIALS),
        dataframe_of(layer_weights, LAYER_WEIGHTS),
    )


def confusion_of(predictions: pl.DataFrame, classes: list[str]) -> np.ndarray:
    """[classes, classes] counts of a table with `label` and `predicted`; rows are the truth."""
    number = {name: place for place, name in enumerate(classes)}
    return confusion_matrix(
        [number[label] for label in predictions["label"]],
        [number[label] for label in predictions["predicted"]],
        len(classes),
    )


def _row(
    run: RunRecord,
    repeat: RepeatRecord,
    order: int,
    metrics: Metrics,
    study: str,
    corpus: str,
    notes: str,
) -> dict[str, object]:
    chosen = repeat.chosen
    recalls = zip(run.classes, metrics.recalls, strict=True)
    return {
        "study": study,
        "corpus": corpus,
        "experiment": run.experiment,
        "representations": "+".join(each.reference for each in run.inputs),
        "modality": "+".join(sorted({modality_of(each.settings.kind) for each in run.inputs})),
        "pretrained_weights": "; ".join(
            dict.fromkeys(each.pretrained_weights for each in run.inputs if each.pretrained_weights)
        ),
        "chunked_utterances": run.chunked_utterances,
        "model": run.settings.model.kind,
        "fold": run.fold,
        "size": run.size,
        "repeat": repeat.repeat,
        "order": order,
        "training_utterances": repeat.training_utterances,
        **{f"training_count_{name}": repeat.training_counts[name] for name in run.classes},
        "training_speakers": repeat.training_speakers,
        "development_utterances": run.development_utterances,
        "test_utterances": run.test_utterances,
        "ua": metrics.unweighted_accuracy,
        "wa": metrics.accuracy,
        "macro_f1": metrics.macro_f1,
        **{f"recall_{name}": recall for name, recall in recalls},
        "best_development_ua": chosen.development_ua,
        "trials": len(repeat.trials),
        "chosen_trial": repeat.chosen_trial,
        "choices": canonical_json(chosen.choices),
        "steps": chosen.steps,
        "best_step": chosen.best_step,
        "stop_reason": chosen.stop_reason,
        "seconds": chosen.seconds,
        "cell_seconds": run.seconds,
        "peak_memory_megabytes": run.peak_memory_megabytes,
        "device": run.device,
        "execution": chosen.execution,
        "precision": repeat.precision,
        "notes": notes,
        **provenance_of(run),
    }


def provenance_of(run: RunRecord) -> dict[str, str]:
    """The columns that say what a cell was trained from, and what it wrote."""
    return {
        "settings": run.settings_text,
        "settings_sha256": run.settings_sha256,
        "code_sha256": run.code_sha256,
        "protocol_sha256": run.protocol_sha256,
        "features_sha256": "+".join(each.features_sha256 for each in run.inputs),
        "corpus_sha256": "+".join(each.corpus_sha256 for each in run.inputs),
        "checkpoint_sha256": "+".join(each.checkpoint_sha256 for each in run.inputs).strip("+"),
        "model_sha256": run.files[WEIGHTS],
        "predictions_sha256": run.files[PREDICTIONS],
        "versions": json.dumps(run.versions, sort_keys=True),
    }
