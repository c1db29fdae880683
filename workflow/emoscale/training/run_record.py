"""Record of a run, `run.json`: data, settings and results of a cell's trainings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from emoscale.config.checkpoints import PredictionSettings
from emoscale.config.models import ModelSettings
from emoscale.config.parsing import parse_settings
from emoscale.config.representations import RepresentationSettings
from emoscale.config.settings import Name
from emoscale.config.training import CellSettings
from emoscale.models.contract import InputShape
from emoscale.runtime.errors import ConfigurationError, DamagedFileError, StoreError, error_summary
from emoscale.runtime.files import write_json
from emoscale.runtime.provenance import canonical_json, file_sha256

RECORD = "run.json"
"""Name of the record in the run's folder."""

PREDICTIONS, HISTORY, WEIGHTS = "predictions.parquet", "history.parquet", "model.safetensors"
"""Names of the run's other files; the record contains their digests."""

_REMEDY = "it was written by another version or is damaged: remove it and run again"


@dataclass(frozen=True)
class CellName:
    """Experiment, fold and training size, which identify a cell of a study."""

    experiment: str
    fold: str
    size: str

    def folder(self, runs: Path) -> Path:
        """Return the folder of the cell's run.

        Parameters
        ----------
        runs : Path
            Folder of all runs of the study.

        Returns
        -------
        Path
            ``<runs>/<experiment>/<fold>/<size>``.
        """
        return runs / self.experiment / self.fold / self.size

    def __str__(self) -> str:
        return f"{self.experiment}/{self.fold}/{self.size}"


class _RecordModel(BaseModel):
    """Base class of the record's models; keys that a later version adds are ignored."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, use_attribute_docstrings=True, allow_inf_nan=False
    )


class InputRecord(_RecordModel):
    """Record of one input of the model: its representation and where its features come from."""

    name: Name
    """Name of the representation in the study."""

    settings: RepresentationSettings
    """Settings in the study; pre-trained weights are named or given by their paths."""

    layer: int | None
    """Selected layer; null where the representation has a single one, or all are read."""

    pretrained_weights: str
    """Source of the pre-trained weights, as a phrase; empty without any."""

    dimension: int = Field(ge=1, le=10_000_000)
    layers: int | None = Field(ge=1, le=1_000)
    frame_rate: float | None

    tokens_without_time: float | None
    """Fraction of a text's tokens in this cell whose word has no time."""

    features_sha256: str
    corpus_sha256: str
    """Digest of the corpus rows that the features were extracted from."""

    checkpoint_sha256: str
    """Digest of the pre-trained weights; empty without any."""

    package_versions: dict[str, str]
    """Versions of the packages that extracted the features."""

    @property
    def reference(self) -> str:
        """Name of the representation and its selected layer, such as wavlm/6."""
        return self.name if self.layer is None else f"{self.name}/{self.layer}"

    @property
    def shape(self) -> InputShape:
        """Shape of the input of the model."""
        return InputShape(self.dimension, self.layers, self.frame_rate)


class LayerWeightsRecord(_RecordModel):
    """Record of the layer weights that a model has learned; they sum to 1."""

    representation: Name
    layers: list[int]
    weights: list[float]

    @model_validator(mode="after")
    def _lengths_match(self) -> Self:
        if len(self.layers) != len(self.weights):
            raise ValueError(f"{len(self.layers)} layers and {len(self.weights)} weights")
        return self


class TrialRecord(_RecordModel):
    """Record of one training: a trial of the search and its result."""

    choices: dict[str, Any]
    """Values of the searched settings; empty without a search."""

    development_ua: float | None
    """UA of the saved weights on the development set; null without one."""

    development_loss: float | None
    """Loss of the saved weights on the development set; null without one."""

    steps: int
    best_step: int
    stop_reason: str
    seconds: float
    execution: str
    """How it was computed, as a phrase."""


class RepeatRecord(_RecordModel):
    """Record of one repeat: its training subset, its trials and the selected model."""

    repeat: int = Field(ge=0)
    training_utterances: int
    training_counts: dict[str, int]
    """Number of training utterances per class, by their training labels."""

    training_speakers: int
    training_utterances_without_votes: int | None
    """Number of training utterances without votes; null where the targets are majority labels."""

    trials: list[TrialRecord] = Field(min_length=1)
    chosen_trial: int = Field(ge=0)
    model: ModelSettings
    """Model settings of the selected trial."""

    precision: Literal["float32", "bfloat16"]
    """Type of matrix products in the selected trial."""

    layer_weights: list[LayerWeightsRecord]
    """Layer weights of the selected trial, one entry per input with layers."""

    @property
    def chosen(self) -> TrialRecord:
        """The selected trial, whose weights and predictions are saved."""
        return self.trials[self.chosen_trial]

    @model_validator(mode="after")
    def _chosen_trial_exists(self) -> Self:
        if self.chosen_trial >= len(self.trials):
            raise ValueError(
                f"chosen_trial is {self.chosen_trial}, but there are {len(self.trials)} trials"
            )
        return self


class RunRecord(_RecordModel):
    """Record of all trainings of a cell."""

    experiment: Name
    fold: Name
    size: str
    classes: list[str] = Field(min_length=2)
    settings: CellSettings
    inputs: list[InputRecord] = Field(min_length=1)
    """Inputs in the model's order."""

    chunked_utterances: int
    """Number of the cell's utterances that were too long for a network and computed in chunks."""

    repeats: list[RepeatRecord] = Field(min_length=1)
    development_utterances: int
    test_utterances: int
    prediction: PredictionSettings
    """Further settings for predicting new recordings; no training depends on them."""

    device: str
    """Device of the trainings; of a GPU also its model."""

    threads: int
    seconds: float
    """Wall-clock time of all trainings, including those read from the cache."""

    peak_memory_megabytes: float
    settings_sha256: str
    code_sha256: str
    protocol_sha256: str
    versions: dict[str, str]
    files: dict[str, str]
    """Digests of the run's other files, by file name."""

    @property
    def name(self) -> CellName:
        """Experiment, fold and training size."""
        return CellName(self.experiment, self.fold, self.size)

    @property
    def settings_json(self) -> str:
        """The settings as canonical JSON, whose digest is `settings_sha256`."""
        return settings_json(self.settings)

    @model_validator(mode="after")
    def _repeats_consistent(self) -> Self:
        numbers = [repeat.repeat for repeat in self.repeats]
        if len(set(numbers)) < len(numbers):
            raise ValueError("two repeats have the same number")
        for repeat in self.repeats:
            if set(repeat.training_counts) != set(self.classes):
                raise ValueError(
                    f"training_counts of repeat {repeat.repeat} are not those of the run's classes"
                )
        return self


def weights_prefix(repeat: int) -> str:
    """Return the prefix of the names of a repeat's weights in the file `WEIGHTS`.

    Parameters
    ----------
    repeat : int
        Number of the repeat, from 0.

    Returns
    -------
    str
        The prefix.
    """
    return f"repeat_{repeat}."


def settings_json(settings: CellSettings) -> str:
    """Return the settings of a cell as canonical JSON.

    Parameters
    ----------
    settings : CellSettings
        Settings of model, training and search.

    Returns
    -------
    str
        JSON with sorted keys.
    """
    return canonical_json(settings.model_dump(mode="json"))


def write_run_record(record: RunRecord, folder: Path) -> None:
    """Write a run's record to its folder, atomically.

    Parameters
    ----------
    record : RunRecord
        The record.
    folder : Path
        Folder of the run.
    """
    write_json(folder / RECORD, record.model_dump(mode="json"))


def read_run_record(path: Path) -> RunRecord:
    """Read a `run.json`.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    RunRecord
        The record.

    Raises
    ------
    DamagedFileError
        Where the file is not a JSON object.
    StoreError
        Where the file is missing, cannot be read, or has invalid or missing values.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise StoreError(f"{path} does not exist; run the training that writes it") from None
    except OSError as error:
        raise StoreError(
            f"{path} cannot be read ({error.strerror}); fix that and run again"
        ) from None
    except UnicodeDecodeError as error:
        raise DamagedFileError(path, f"is not UTF-8 ({error_summary(error)})") from None
    try:
        is_object = isinstance(json.loads(text), dict)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(path, f"is not JSON ({error_summary(error)})") from None
    if not is_object:
        raise DamagedFileError(path, "is not the record of a run")
    try:
        record: RunRecord = parse_settings(RunRecord, text, str(path))
    except ConfigurationError as error:
        raise StoreError(f"{error}; {_REMEDY}") from None
    return record


def verify_run_file(path: Path, record: RunRecord) -> None:
    """Check a file of a run against its digest in the record.

    Parameters
    ----------
    path : Path
        File in the run's folder.
    record : RunRecord
        Record of the run.

    Raises
    ------
    DamagedFileError
        Where the file is missing, or its digest differs from the record's.
    StoreError
        Where the file cannot be read.
    """
    record_path = path.with_name(RECORD)
    if not path.exists():
        raise DamagedFileError(record_path, f"refers to {path.name}, which is missing")
    try:
        sha256 = file_sha256(path)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be read ({error.strerror}); fix that and run again"
        ) from None
    if record.files.get(path.name) != sha256:
        detail = f"does not match the digest in its {RECORD}"
        raise DamagedFileError(path, detail, record_path)
