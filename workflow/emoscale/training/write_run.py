"""Writes the folder of a finished cell: predictions, history, weights and the record of it."""

from __future__ import annotations

import dataclasses
import resource
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from emoscale.config.search import Trial
from emoscale.models.contract import InputShape
from emoscale.models.layers import layer_shares
from emoscale.runtime.files import atomic_path
from emoscale.runtime.provenance import digest, file_sha256, package_versions
from emoscale.store.index import FeatureStore
from emoscale.tables.parquet import dataframe_of, write_table
from emoscale.tables.schemas import HISTORY as HISTORY_SCHEMA
from emoscale.tables.schemas import predictions_schema
from emoscale.training.prepared_cell import PreparedCell
from emoscale.training.run_record import (
    HISTORY,
    PREDICTIONS,
    WEIGHTS,
    InputRecord,
    LayerShares,
    RepeatRecord,
    RunRecord,
    TrialRecord,
    settings_text,
    write_run_record,
)
from emoscale.training.tasks import Trained, Weights


@dataclass(frozen=True)
class FinishedRepeat:
    """All trials of a repeat, and what the chosen one says of the test utterances."""

    trials: list[Trained]
    chosen: int
    """Number of the trial that did best on the development set."""

    probabilities: NDArray[np.float64]
    """[tested utterances, classes], by that trial."""

    @property
    def weights(self) -> Weights:
        """Of that trial."""
        return self.trials[self.chosen].weights


def write_run(
    prepared: PreparedCell, repeats: Sequence[FinishedRepeat], folder: Path, seconds: float
) -> None:
    """Write predictions, history, weights and record of a cell that took so many seconds."""
    cell = prepared.cell
    folder.mkdir(parents=True, exist_ok=True)
    schema = predictions_schema(prepared.classes)
    write_table(_predictions(prepared, repeats), folder / PREDICTIONS, schema)
    history = [
        {"repeat": number, "trial": trial, **row}
        for number, repeat in enumerate(repeats)
        for trial, trained in enumerate(repeat.trials)
        for row in trained.training.history
    ]
    write_table(dataframe_of(history, HISTORY_SCHEMA), folder / HISTORY, HISTORY_SCHEMA)
    weights = {
        f"repeat_{number}.{key}": value.contiguous()
        for number, repeat in enumerate(repeats)
        for key, value in repeat.weights.items()
    }
    with atomic_path(folder / WEIGHTS) as temporary:
        save_file(weights, temporary)
    record = RunRecord(
        experiment=cell.name.experiment,
        fold=cell.name.fold,
        size=cell.name.size,
        classes=prepared.classes,
        settings=cell.settings,
        inputs=[
            _input_record(store, shape, without_time)
            for store, shape, without_time in zip(
                cell.stores, prepared.shapes, prepared.tokens_without_time, strict=True
            )
        ],
        chunked_utterances=max(
            store.chunked(list(prepared.features.index_of)) for store in cell.stores
        ),
        repeats=[_repeat_record(prepared, number, repeat) for number, repeat in enumerate(repeats)],
        development_utterances=len(prepared.development),
        test_utterances=len(prepared.tested),
        prediction=cell.prediction,
        device=str(prepared.device),
        threads=torch.get_num_threads(),
        seconds=seconds,
        peak_memory_megabytes=_peak_memory_megabytes(),
        settings_sha256=digest(settings_text(cell.settings)),
        code_sha256=cell.code_sha256,
        protocol_sha256=cell.protocol_sha256,
        versions=package_versions(["torch", "numpy", "h5py", "polars"]),
        files={name: file_sha256(folder / name) for name in (PREDICTIONS, HISTORY, WEIGHTS)},
    )
    write_run_record(record, folder)


def _predictions(prepared: PreparedCell, repeats: Sequence[FinishedRepeat]) -> pl.DataFrame:
    label_of = dict(prepared.cell.fold.select("utterance", "label").iter_rows())
    return pl.concat(
        pl.DataFrame(
            {
                "utterance": prepared.tested,
                "repeat": [number] * len(prepared.tested),
                "label": [label_of[key] for key in prepared.tested],
                "predicted": [prepared.classes[i] for i in repeat.probabilities.argmax(axis=1)],
                **{
                    f"p_{name}": repeat.probabilities[:, i]
                    for i, name in enumerate(prepared.classes)
                },
            },
            schema_overrides={"repeat": pl.Int32},
        )
        for number, repeat in enumerate(repeats)
    )


def _input_record(
    store: FeatureStore, shape: InputShape, tokens_without_time: float | None
) -> InputRecord:
    return InputRecord(
        **store.description(),
        **dataclasses.asdict(shape),
        tokens_without_time=tokens_without_time,
        features_sha256=store.sha256,
        corpus_sha256=store.corpus_sha256,
    )


def _repeat_record(prepared: PreparedCell, number: int, repeat: FinishedRepeat) -> RepeatRecord:
    cell, own = prepared.cell, prepared.repeats[number]
    chosen = prepared.trials[repeat.chosen]
    rows = cell.fold.filter(pl.col("utterance").is_in(own.utterances))
    counts = Counter(own.label_of[key] for key in own.utterances)
    by_votes = chosen.training.targets == "votes"
    return RepeatRecord(
        repeat=number,
        training_utterances=len(own.utterances),
        training_counts={name: counts[name] for name in prepared.classes},
        training_speakers=rows["speaker"].n_unique(),
        training_utterances_without_votes=rows["votes"].null_count() if by_votes else None,
        trials=[
            _trial_record(trial, trained)
            for trial, trained in zip(prepared.trials, repeat.trials, strict=True)
        ],
        chosen_trial=repeat.chosen,
        model=chosen.model,
        precision=chosen.training.precision,
        layer_weights=[
            LayerShares(
                representation=cell.stores[index].name,
                layers=list(cell.stores[index].layers),
                weights=shares,
            )
            for index, shares in layer_shares(repeat.weights).items()
        ],
    )


def _trial_record(trial: Trial, trained: Trained) -> TrialRecord:
    training = trained.training
    ua, loss = training.development_score
    return TrialRecord(
        choices=trial.choices,
        development_ua=ua,
        development_loss=loss,
        steps=training.steps,
        best_step=training.best_step,
        stop_reason=training.stop_reason,
        seconds=training.seconds,
        execution=trained.execution,
    )


def _peak_memory_megabytes() -> float:
    """Of this process, until now."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 if sys.platform != "darwin" else 1024**2)
