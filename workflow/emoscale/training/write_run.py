"""Writing of a finished cell's run: predictions, history, weights and record."""

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
from emoscale.models.layers import normalised_layer_weights
from emoscale.runtime.devices import device_name
from emoscale.runtime.files import atomic_path
from emoscale.runtime.provenance import digest, file_sha256, package_versions
from emoscale.store.index import FeatureStore
from emoscale.tables.parquet import dataframe_of, write_table
from emoscale.tables.schemas import HISTORY as HISTORY_SCHEMA
from emoscale.tables.schemas import predictions_schema
from emoscale.training.cache import NUMERICAL_PACKAGES
from emoscale.training.prepared_cell import PreparedCell
from emoscale.training.run_record import (
    HISTORY,
    PREDICTIONS,
    WEIGHTS,
    InputRecord,
    LayerWeightsRecord,
    RepeatRecord,
    RunRecord,
    TrialRecord,
    settings_json,
    weights_prefix,
    write_run_record,
)
from emoscale.training.tasks import TrainedModel, Weights


@dataclass(frozen=True)
class FinishedRepeat:
    """All trials of a repeat, and the test predictions of the selected one."""

    trials: list[TrainedModel]
    selected: int
    """Number of the trial with the best development score."""

    probabilities: NDArray[np.float64]
    """Class probabilities ``[test utterances, classes]`` by the selected trial."""

    @property
    def weights(self) -> Weights:
        """Weights of the selected trial."""
        return self.trials[self.selected].weights


def write_run(
    prepared: PreparedCell, repeats: Sequence[FinishedRepeat], folder: Path, seconds: float
) -> None:
    """Write predictions, history, weights and record of a cell.

    Parameters
    ----------
    prepared : PreparedCell
        The cell.
    repeats : sequence of FinishedRepeat
        All repeats, in their order.
    folder : Path
        Folder of the run.
    seconds : float
        Wall-clock time of all trainings.
    """
    cell = prepared.cell
    folder.mkdir(parents=True, exist_ok=True)
    schema = predictions_schema(prepared.classes)
    write_table(_predictions(prepared, repeats), folder / PREDICTIONS, schema)
    history = [
        {"repeat": number, "trial": trial, **row}
        for number, repeat in enumerate(repeats)
        for trial, trained in enumerate(repeat.trials)
        for row in trained.result.history
    ]
    write_table(dataframe_of(history, HISTORY_SCHEMA), folder / HISTORY, HISTORY_SCHEMA)
    weights = {
        weights_prefix(number) + key: value.contiguous()
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
            _input_record(store, shape, tokens_without_time)
            for store, shape, tokens_without_time in zip(
                cell.stores, prepared.shapes, prepared.tokens_without_time, strict=True
            )
        ],
        chunked_utterances=max(
            store.count_chunked(list(prepared.features.index_of)) for store in cell.stores
        ),
        repeats=[_repeat_record(prepared, number, repeat) for number, repeat in enumerate(repeats)],
        development_utterances=len(prepared.development),
        test_utterances=len(prepared.test),
        prediction=cell.prediction,
        device=device_name(prepared.device),
        threads=torch.get_num_threads(),
        seconds=seconds,
        peak_memory_megabytes=_peak_memory_megabytes(),
        settings_sha256=digest(settings_json(cell.settings)),
        code_sha256=cell.code_sha256,
        protocol_sha256=cell.protocol_sha256,
        versions=package_versions([*NUMERICAL_PACKAGES, "h5py", "polars"]),
        files={name: file_sha256(folder / name) for name in (PREDICTIONS, HISTORY, WEIGHTS)},
    )
    write_run_record(record, folder)


def _predictions(prepared: PreparedCell, repeats: Sequence[FinishedRepeat]) -> pl.DataFrame:
    label_of = dict(prepared.cell.fold.select("utterance", "label").iter_rows())
    return pl.concat(
        pl.DataFrame(
            {
                "utterance": prepared.test,
                "repeat": [number] * len(prepared.test),
                "label": [label_of[key] for key in prepared.test],
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


def _repeat_record(prepared: PreparedCell, number: int, finished: FinishedRepeat) -> RepeatRecord:
    cell, repeat = prepared.cell, prepared.repeats[number]
    trial = prepared.trials[finished.selected]
    rows = cell.fold.filter(pl.col("utterance").is_in(repeat.utterances))
    counts = Counter(repeat.label_of[key] for key in repeat.utterances)
    uses_votes = trial.training.targets == "votes"
    return RepeatRecord(
        repeat=number,
        training_utterances=len(repeat.utterances),
        training_counts={name: counts[name] for name in prepared.classes},
        training_speakers=rows["speaker"].n_unique(),
        training_utterances_without_votes=rows["votes"].null_count() if uses_votes else None,
        trials=[
            _trial_record(trial, trained)
            for trial, trained in zip(prepared.trials, finished.trials, strict=True)
        ],
        chosen_trial=finished.selected,
        model=trial.model,
        precision=trial.training.precision,
        layer_weights=[
            LayerWeightsRecord(
                representation=cell.stores[index].name,
                layers=list(cell.stores[index].layers),
                weights=layer_weights,
            )
            for index, layer_weights in normalised_layer_weights(finished.weights).items()
        ],
    )


def _trial_record(trial: Trial, trained: TrainedModel) -> TrialRecord:
    result = trained.result
    ua, loss = result.development_score
    return TrialRecord(
        choices=trial.choices,
        development_ua=ua,
        development_loss=loss,
        steps=result.steps,
        best_step=result.best_step,
        stop_reason=result.stop_reason,
        seconds=result.seconds,
        execution=trained.execution,
    )


def _peak_memory_megabytes() -> float:
    """Return the peak resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 if sys.platform != "darwin" else 1024**2)
